// How fast this machine hashes cached extents of 128 KiB, on one core, with each kernel that it can run, or with
// the one of VARVE_HASH_KERNEL (portable, avx2, avx512) alone. GB/s of processor time: 10⁹ bytes a second.
import Glibc
import VarveCodec
import VarveFormat

let extentSize = 131_072
let runs = 15

func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

func rounded(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)"
}

/// Rates of `runs` runs in GB/s, ascending; each hashes `count` extents about 16 MiB long in all.
func rates(_ kernel: Hasher.Kernel, count: Int) -> [Double] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count * extentSize, alignment: 4096)
    defer { memory.deallocate() }
    for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: index &* 167 ^ index >> 9) }
    let extents = (0..<count).map {
        UnsafeRawBufferPointer(
            rebasing: UnsafeRawBufferPointer(memory)[($0 * extentSize)...].prefix(extentSize))
    }
    var ids = Array(repeating: ContentID.zero, count: count)
    let repetitions = max(1, (16 << 20) / (count * extentSize))
    let rates = (0..<runs).map { _ in
        let start = processorSeconds()
        for _ in 0..<repetitions { Hasher.ids(of: extents, .data, into: &ids, kernel: kernel) }
        return Double(repetitions * count * extentSize) / (processorSeconds() - start) / 1e9
    }
    precondition(zip(extents, ids).allSatisfy { Hasher.id(of: $0, .data) == $1 }, "\(kernel): wrong ids")
    return rates.sorted()
}

let forced = getenv("VARVE_HASH_KERNEL") != nil
let kernels = forced ? [Hasher.kernel] : Hasher.Kernel.allCases.reversed().filter(\.isSupported)
print("kernel    buffers  median   max  GB/s of \(runs) runs")
for kernel in kernels {
    for count in kernel == .portable ? [1] : [2, 4, 8] {
        let rates = rates(kernel, count: count)
        print(
            padded(kernel.rawValue, 10) + padded("\(count)", 9) + padded(rounded(rates[runs / 2]), 9)
                + rounded(rates[runs - 1]))
    }
}
print("in use: \(Hasher.kernel.rawValue), \(Hasher.lanes) at once")
