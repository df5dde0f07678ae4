// Package keys keeps private keys in files, and knows which public key a server must have, as ssh does.
package keys
