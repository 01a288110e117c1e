import Glibc
import VarveFormat

/// A segment of System V shared memory, looked at by somebody who takes no part in it.
package struct SystemVMemory: Sendable, Hashable {
    package let identifier: Int32
    /// The user that it belongs to.
    package let owner: UInt32
    package let size: UInt64
    /// How often processes had it attached when it was looked at.
    package let attachments: UInt64

    /// Nil if there is no such segment on this machine, or in this container.
    package static func find(_ identifier: Int64) throws(VarveError) -> SystemVMemory? {
        guard let number = Int32(exactly: identifier), number >= 0 else { return nil }
        var facts = shmid_ds()
        do {
            try systemCall("shmctl", "shared memory segment \(number)") { shmctl(number, IPC_STAT, &facts) }
        } catch let error where error.errno == EINVAL || error.errno == EIDRM {
            return nil
        }
        return SystemVMemory(
            identifier: number, owner: facts.shm_perm.uid, size: UInt64(facts.shm_segsz),
            attachments: UInt64(facts.shm_nattch))
    }

    /// Copies bytes out of it; fewer where it ends.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(VarveError) -> Int
    {
        guard offset < size else { return 0 }
        let count = Int(min(UInt64(buffer.count), size - offset))
        let address = shmat(identifier, nil, SHM_RDONLY)
        guard let address, Int(bitPattern: address) != -1 else {
            throw SystemCallError(call: "shmat", path: "shared memory segment \(identifier)", errno: errno)
                .error
        }
        defer { shmdt(address) }
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: address + Int(offset), count: count))
        return count
    }
}
