// Copyright 2017 Hajime Hoshi
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

package gomp3

// bits reads a bit stream. After its end it reads zeros.
type bits struct {
	vec []byte
	pos int
}

func (b *bits) bit() int {
	at := b.pos >> 3
	if at >= len(b.vec) {
		return 0
	}
	bit := b.vec[at] >> (7 - b.pos&7) & 1
	b.pos++
	return int(bit)
}

// bits reads at most 24 bits.
func (b *bits) bits(num int) int {
	at := b.pos >> 3
	if num == 0 || at >= len(b.vec) {
		return 0
	}
	var word [4]byte
	copy(word[:], b.vec[at:])
	value := uint32(word[0])<<24 | uint32(word[1])<<16 | uint32(word[2])<<8 | uint32(word[3])
	value = value << (b.pos & 7) >> (32 - num)
	b.pos += num
	return int(value)
}
