// Package baseline has the small programs that conga is compared with. Each does as little as the job allows, over the
// same loopback and in the same Go, so that the ratio says what conga adds.
//
//   - Relays: a chain of relays. Each has one goroutine, which reads a message and writes it to the next.
//   - Copies: a chain of relays that know no messages: each is an io.Copy.
//   - Fan: a server that writes each message to all its clients, as Icecast does.
//   - Greeter: a server that greets over TLS, as the least that a join needs.
package baseline
