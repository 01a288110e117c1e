import Testing
import VarveFiles
import VarveTestSupport

/// How long a test waits for what comes at once unless something is broken.
let patience: UInt64 = 60_000_000_000

/// Long enough for a thread that is not held back to be seen. What is shown with it can't fail on a slow machine: there it
/// shows less.
let moment: UInt64 = 50_000_000

@Suite(.timeLimit(.minutes(2))) struct QueueTests {
    private struct Element: Equatable {
        var producer: Int
        var number: Int
    }

    /// From many threads to many: once each, and those of one producer in its order.
    @Test func eachElementComesOnceAndInOrder() throws {
        var random = SeededRandom()
        for round in 0..<12 {
            let capacity = Int.random(in: 1...20, using: &random)
            let producers = Int.random(in: 1...5, using: &random)
            let consumers = Int.random(in: 1...5, using: &random)
            let counts = (0..<producers).map { _ in Int.random(in: 0...400, using: &random) }
            let about: Comment =
                "round \(round): \(counts) by way of \(capacity) to \(consumers), seed \(random.seed)"
            let queue = BoundedQueue<Element>(capacity: capacity)
            let refused = Monitor(0)
            let taken = Monitor<[[Element]]>([])
            let takers = try (0..<consumers).map { _ in
                try WorkerThread {
                    var mine: [Element] = []
                    while let element = queue.pop() { mine.append(element) }
                    taken.change { $0.append(mine) }
                }
            }
            let makers = try counts.enumerated().map { producer, count in
                try WorkerThread {
                    for number in 0..<count where !queue.push(Element(producer: producer, number: number)) {
                        refused.change { $0 += 1 }
                    }
                }
            }
            for maker in makers { maker.join() }
            queue.close()
            for taker in takers { taker.join() }
            #expect(refused.change { $0 } == 0, about)
            let lists = taken.change { $0 }
            #expect(lists.count == consumers, about)
            for list in lists { #expect(Self.isInOrder(list), about) }
            for (producer, count) in counts.enumerated() {
                let numbers = lists.joined().filter { $0.producer == producer }.map(\.number).sorted()
                #expect(numbers == Array(0..<count), about)
            }
        }
        // The control of the check.
        #expect(!Self.isInOrder([Element(producer: 1, number: 1), Element(producer: 1, number: 0)]))
        #expect(!Self.isInOrder([Element(producer: 1, number: 1), Element(producer: 1, number: 1)]))
        #expect(Self.isInOrder([Element(producer: 1, number: 1), Element(producer: 0, number: 0)]))
    }

    private static func isInOrder(_ list: [Element]) -> Bool {
        var last: [Int: Int] = [:]
        for element in list {
            if element.number <= last[element.producer, default: -1] { return false }
            last[element.producer] = element.number
        }
        return true
    }

    @Test func aFullQueueHoldsItsProducerBack() throws {
        let queue = BoundedQueue<Int>(capacity: 3)
        let pushed = Monitor(0)
        let producer = try WorkerThread {
            for number in 0..<5 {
                if queue.push(number) { pushed.change { $0 += 1 } }
            }
        }
        func hasPushed(_ count: Int, until deadline: UInt64) -> Bool {
            pushed.wait(until: Clock.monotonic() + deadline) { $0 >= count ? true : nil } ?? false
        }
        #expect(hasPushed(3, until: patience))
        #expect(!hasPushed(4, until: moment))
        #expect(queue.pop() == 0)
        #expect(hasPushed(4, until: patience))
        #expect(!hasPushed(5, until: moment))
        #expect((0..<4).map { _ in queue.pop() } == [1, 2, 3, 4])
        producer.join()
    }

    @Test func whatIsInComesOutOfAClosedQueue() {
        let queue = BoundedQueue<Int>(capacity: 2)
        #expect(queue.push(1) && queue.push(2))
        queue.close()
        #expect(!queue.push(3))
        #expect(queue.pop() == 1 && queue.pop() == 2)
        #expect(queue.pop() == nil && queue.pop() == nil)
        queue.close()
        #expect(!queue.push(4) && queue.pop() == nil)
    }

    /// Nobody waits for a closed queue for ever: no producer for room, no consumer for an element.
    @Test func closingWakesWhoeverWaits() throws {
        let (full, empty) = (BoundedQueue<Int>(capacity: 1), BoundedQueue<Int>(capacity: 1))
        #expect(full.push(0))
        let ended = Monitor<[Bool]>([])
        let threads = try (0..<6).map { number in
            try WorkerThread {
                let isRefused = number.isMultiple(of: 2) ? !full.push(1) : empty.pop() == nil
                ended.change { $0.append(isRefused) }
            }
        }
        // The control: they do wait.
        #expect(ended.wait(until: Clock.monotonic() + moment) { $0.isEmpty ? nil : true } == nil)
        full.close()
        empty.close()
        for thread in threads { thread.join() }
        #expect(ended.change { $0 } == [Bool](repeating: true, count: 6))
        #expect(full.pop() == 0 && full.pop() == nil)
    }

    /// A queue keeps nothing of what was taken from it: its elements are buffers of megabytes.
    @Test func whatWasTakenIsLetGo() {
        final class Buffer: Sendable {}
        let queue = BoundedQueue<Buffer>(capacity: 4)
        weak var taken: Buffer?
        weak var waiting: Buffer?
        do {
            let (first, second) = (Buffer(), Buffer())
            (taken, waiting) = (first, second)
            #expect(queue.push(first) && queue.push(second))
        }
        #expect(taken != nil)
        _ = queue.pop()
        #expect(taken == nil && waiting != nil)
    }
}
