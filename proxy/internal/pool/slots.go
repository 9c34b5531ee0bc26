package pool

// Slots is how many calls at once as many workers as there may be can take.
func (p *Pool) Slots() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.capacity * p.state.limit()
}
