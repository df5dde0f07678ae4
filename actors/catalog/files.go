package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"conga/actors/catalog/stock"
	"conga/actors/internal/transcode"
)

// Files lists the files in the songs folder that may be songs, without their sums.
func Files(ctx context.Context, dir string) (files []stock.File, err error) {
	w := &walk{ctx: ctx, watch: func(string) {}, song: func(f found) {
		files = append(files, stock.File{Name: f.name, Bytes: f.size, ModifiedUs: f.modified.UnixMicro()})
	}}
	err = w.root(dir)
	return files, cmp.Or(err, w.err, ctx.Err())
}

// SumOf reads a file, and returns the SHA-256 of its content, if it is as the listing says, in hex.
func SumOf(ctx context.Context, dir string, file stock.File) (string, error) {
	f, err := openSeen(dir, file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // nothing was written
	sum := sha256.New()
	if _, err := io.Copy(sum, patient{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Made lists the mp3 files that were made of other music and lie in the folder.
func Made(converted string) (map[MadeFile]bool, error) {
	has, err := transcode.In(converted)
	if err != nil {
		return nil, err
	}
	files := make(map[MadeFile]bool, len(has))
	for made := range has {
		files[MadeFile(made)] = true
	}
	return files, nil
}

// MadeFile is such a file: the SHA-256 of the one that it was made of, and its own, both in hex.
type MadeFile struct{ Of, Sum string }
