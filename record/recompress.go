package record

import "encoding/binary"

// Recompress returns the batch with its records compressed by c, as a topic's compression.type
// asks for: b itself where they are already. At most max bytes are unpacked. Offsets, sequences
// and timestamps stay what they are.
func Recompress(b Batch, c Codec, level, max int) (Batch, error) {
	if b.Codec() == c {
		return b, nil
	}
	if !c.Valid() {
		return nil, unsupported(c)
	}
	payload, done, err := borrow(b, max)
	if err != nil {
		return nil, err
	}
	defer done()
	out := append(make([]byte, 0, len(b)), b[:HeaderSize]...)
	if out, err = Compress(c, level, out, payload); err != nil {
		return nil, err
	}
	n := Batch(out)
	binary.BigEndian.PutUint32(n[posLength:], uint32(len(n)-lengthOverhead))
	binary.BigEndian.PutUint16(n[posAttributes:], uint16(b.Attributes()&^attrCodec|int16(c)))
	n.setCRC()
	return n, nil
}
