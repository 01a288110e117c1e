import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The shared memory, cut into slots of one callback's bytes each.
final class Slots {
    private let memory: SharedMemory
    private var free: [UInt32]
    private let count: UInt32

    init() throws(VarveError) {
        let file = File(descriptor: CaptureProtocol.Descriptor.sharedMemory, path: "shared memory")
        memory = try SharedMemory(mapping: file)
        count = UInt32(memory.bytes.count / CaptureProtocol.slotSize)
        free = (0..<count).reversed()
    }

    var hasFree: Bool { !free.isEmpty }

    /// - Precondition: `hasFree`, and `bytes` fit.
    func fill(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        precondition(bytes.count <= CaptureProtocol.slotSize)
        let slot = free.removeLast()
        let start = Int(slot) * CaptureProtocol.slotSize
        UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<start + bytes.count])
            .copyMemory(from: bytes)
        return slot
    }

    func release(_ slot: UInt32) throws(VarveError) {
        guard slot < count, !free.contains(slot) else {
            throw VarveError(.corrupt, "slot \(slot) was given back without being full")
        }
        free.append(slot)
    }
}
