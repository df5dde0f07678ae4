// Package seedtest is a client and a server of the seed's kind for tests, as naive as the
// program of 2016: a header is what one read gives, an answer what the next one brings, a
// connection that ends without a goodbye is the end of everything.
package seedtest
