package messages

// Why is the reason in words.
func (e *BranchMoved) Why() string {
	return "the node that fed it feeds no more than it offers"
}
