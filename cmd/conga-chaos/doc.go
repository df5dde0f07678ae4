// Command conga-chaos breaks nodes of conga and the cables between them, by a schedule that a seed determines,
// and fails if anybody who was not hit hears it.
package main
