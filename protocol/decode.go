package protocol

import (
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// decode turns the frame into r.Body, within the server's budget for decoded requests.
func (c *Conn) decode(r *Request, e *entry) (err error) {
	body := r.newBody()
	body.SetVersion(r.Version)
	clientID, rest, err := parseClient(r.frame.b[fixedHeader:], body.IsFlexible())
	if err != nil {
		return err
	}
	r.ClientID = c.intern(clientID)
	worst, err := e.worstCase(r.Version, body.IsFlexible(), rest)
	if err != nil {
		return err
	}
	r.charged = c.smallMem.Load()+worst > freeDecodedBytes
	if r.charged {
		n, ok := c.srv.decoded.acquire(worst, c.ctx.Done(), c.srv.draining)
		if !ok {
			return net.ErrClosed
		}
		r.memory = n
	}
	if err := readBody(body, rest); err != nil {
		return fmt.Errorf("%w: %s version %d: %w", errMalformed, r.Name(), r.Version, err)
	}
	if err := r.frame.attach(body); err != nil {
		return err
	}
	r.Body = body
	return c.settle(r, worst)
}

// settle replaces what was held for the worst case by what the request really takes: requests
// that wait for each other, as JoinGroup does, must not keep others from being read.
func (c *Conn) settle(r *Request, worst int64) error {
	if r.Key != int16(kmsg.Produce) && (r.charged || r.Size > auditBytes) {
		holds, err := audit(r.Body)
		if err != nil {
			return fmt.Errorf("%w: %s version %d", err, r.Name(), r.Version)
		}
		worst = min(worst, holds)
	}
	switch {
	case !r.charged:
		r.memory = worst
		c.smallMem.Add(worst)
	case r.memory > worst:
		c.srv.decoded.release(r.memory - worst)
		r.memory = worst
	}
	return nil
}

// readBody decodes; a panic in the decoder is an error of the frame.
func readBody(body kmsg.Request, b []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder: %v", p)
		}
	}()
	return body.ReadFrom(b)
}

// intern returns the client id as a string, the previous one where it is the same.
func (c *Conn) intern(id []byte) *string {
	if id == nil {
		return nil
	}
	if c.clientID == nil || *c.clientID != string(id) {
		s := string(id)
		c.clientID = &s
	}
	return c.clientID
}
