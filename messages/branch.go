package messages

import "fmt"

// Why is the reason in words.
func (e *BranchMoved) Why() string {
	switch e.GetCause() {
	case BranchMoved_CAUSE_DEEP:
		return fmt.Sprintf("the music came to the end of the chain only %d ms before it is heard", e.GetMarginUs()/1000)
	case BranchMoved_CAUSE_SPARE:
		return "the server need not feed a chain of its own any more"
	}
	return "the node that fed it feeds no more than it offers"
}
