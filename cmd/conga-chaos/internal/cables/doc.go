// Package cables makes hosts on this machine, each with a cable of its own that can be
// pulled and made slow. A host is a Linux network namespace; its cable is a pair of
// virtual network cards that ends in a router, which is a namespace, too. Nothing of it
// can be reached from outside, and all is gone with the process.
//
// It takes Linux, and the right to make network namespaces: root has it, and so has
// everybody inside of `unshare --user --map-root-user`, where the machine allows that.
package cables
