/// Powers of 33, modulo 2^32.
@inline(__always) private var power4: UInt32 { 1_185_921 }
@inline(__always) private var power8: UInt32 { power4 &* power4 }
@inline(__always) private var power16: UInt32 { power8 &* power8 }

/// libdb's checksum of pages and log records, Chris Torek's hash: `h = h * 33 + byte` (`__ham_func4`,
/// `hash_func.c:145`). `seed` is the checksum of the bytes before these.
///
/// The plain loop waits for a multiplication at every byte. The hash is a polynomial in 33, so eight bytes
/// are folded at once, first into pairs in 16-bit lanes, then into fours in 32-bit lanes; neither can
/// overflow.
func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    var hash = seed
    var offset = 0
    let wide = bytes.count & ~15
    while offset < wide {
        let first = fold(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let second = fold(bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
        hash = hash &* power16 &+ first &* power8 &+ second
        offset &+= 16
    }
    while offset < bytes.count {
        hash = hash &* 33 &+ UInt32(bytes[offset])
        offset &+= 1
    }
    return hash
}

/// The checksum of eight bytes, the first of them at the lowest address.
@inline(__always) private func fold(_ raw: UInt64) -> UInt32 {
    let word = UInt64(littleEndian: raw)
    let bytes: UInt64 = 0x00ff_00ff_00ff_00ff
    let pairs = (word & bytes) &* 33 &+ ((word &>> 8) & bytes)
    let halves: UInt64 = 0x0000_ffff_0000_ffff
    let fours = (pairs & halves) &* 1089 &+ ((pairs &>> 16) & halves)
    return UInt32(truncatingIfNeeded: fours) &* power4 &+ UInt32(truncatingIfNeeded: fours &>> 32)
}

/// The checksum of `bytes` as if the four bytes at `hole` were zero: that is how a checksum which lies inside
/// the bytes that it covers is made (`__db_chksum`, `hmac.c:92`).
///
/// - Precondition: the hole lies within the bytes.
func checksum(_ bytes: UnsafeRawBufferPointer, withZerosAt hole: Int) -> UInt32 {
    let before = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<hole]))
    return checksum(UnsafeRawBufferPointer(rebasing: bytes[(hole + 4)...]), seed: before &* power4)
}

/// Whether every byte is zero.
func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    let wide = bytes.count & ~31
    while offset < wide {
        let a = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
        if a != SIMD4<UInt64>.zero { return false }
        offset &+= 32
    }
    while offset < bytes.count {
        if bytes[offset] != 0 { return false }
        offset &+= 1
    }
    return true
}
