// Package space tells how much room a disk has.
package space
