package front

import "time"

// list has clients in the order in which they came to it; as all may stay for
// the same time, the first is the next that is due.
type list struct {
	limit       time.Duration
	first, last *client
}

// listEntry is a client's position in a list.
type listEntry struct {
	list       *list
	prev, next *client
	since      time.Time
}

// push moves a client to the end.
func (q *list) push(c *client, now time.Time) {
	c.unlist()
	c.listEntry = listEntry{list: q, prev: q.last, since: now}
	if q.last != nil {
		q.last.next = c
	} else {
		q.first = c
	}
	q.last = c
}

// unlist takes a client out of its list, if it is in one.
func (c *client) unlist() {
	q := c.list
	if q == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		q.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		q.last = c.prev
	}
	c.listEntry = listEntry{}
}

// due is when the first has stayed too long; zero if there is none.
func (q *list) due() time.Time {
	if q.first == nil {
		return time.Time{}
	}
	return q.first.since.Add(q.limit)
}

// expired returns the first if it has stayed too long. It must be taken out.
func (q *list) expired(now time.Time) *client {
	if c := q.first; c != nil && now.Sub(c.since) >= q.limit {
		return c
	}
	return nil
}
