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

// Package gomp3 decodes MPEG-1 layer III, one frame at a time.
//
// It is a fork of github.com/hajimehoshi/go-mp3 v0.3.4, under its licence, the Apache License 2.0 (see LICENSE and
// AUTHORS beside this file). What is left out: MPEG-2, seeking, the search for frames. What is new:
//
//   - Intensity stereo is that of ISO 11172-3, 2.4.3.4.9.3 (stereo.go). Upstream takes the left channel's scale
//     factors for positions and multiplies the right channel's lines, which are zero, so that the right side
//     has no treble; it leaves out the highest band and takes the windows of short blocks for one another.
//   - A frame is given whole, not searched for in a stream, and one whose bit reservoir is missing is silent
//     instead of loud.
//   - Samples are rounded, not cut, which made silence twice as wide as any other step.
//   - Nothing is allocated for a frame, and each band's gain is computed once.
//
// A test compares it with upstream, others with what ffmpeg and mpg123 say.
package gomp3
