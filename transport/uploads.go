package transport

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// An hour's share of uploads, in files and in bytes: of one person, and of one address.
	filesOfPerson, filesOfAddress = 20, 100
	bytesOfPerson, bytesOfAddress = 500 << 20, math.MaxInt32
	// uploadsOfAddress and uploadsAtOnce are how many uploads may be under way, of one address and of all.
	uploadsOfAddress, uploadsAtOnce = 2, 8
)

var (
	errOthersBring = errors.New("others bring songs just now: try again in a minute")
	errBringTwo    = fmt.Errorf("%d songs come from your address just now: try again when one of them is here", uploadsOfAddress)
)

// OthersBring says whether an upload is refused only until others are done, which takes seconds or minutes.
func OthersBring(err error) bool {
	return errors.Is(err, errOthersBring) || errors.Is(err, errBringTwo)
}

// uploads bounds the uploads of people and addresses. It is safe for concurrent use.
type uploads struct {
	mu     sync.Mutex
	under  map[string]int // way, by address
	all    int
	limits []uploadLimit
}

// uploadLimit is the share of each person, or of each address.
type uploadLimit struct {
	shares  *shares[string]
	address bool // false: of a person
	bytes   bool // false: in files
}

func newUploads() *uploads {
	hourly := func(n int) *shares[string] {
		return &shares[string]{every: rate.Every(time.Hour) * rate.Limit(n), burst: n}
	}
	return &uploads{under: map[string]int{}, limits: []uploadLimit{
		{shares: hourly(filesOfPerson)},
		{shares: hourly(bytesOfPerson), bytes: true},
		{shares: hourly(filesOfAddress), address: true},
		{shares: hourly(bytesOfAddress), address: true, bytes: true},
	}}
}

// may says why somebody may not bring a file now.
func (u *uploads) may(now time.Time, a asker, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.left(now, a, size)
}

// begin is may, and counts the file. Call done at its end.
func (u *uploads) begin(now time.Time, a asker, size int64) (done func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.left(now, a, size); err != nil {
		return nil, err
	}
	for i := range u.limits {
		u.limits[i].of(a).AllowN(now, u.limits[i].cost(size))
	}
	u.under[a.household]++
	u.all++
	return sync.OnceFunc(func() { u.end(a.household) }), nil
}

func (u *uploads) end(household string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all--
	if u.under[household]--; u.under[household] == 0 {
		delete(u.under, household)
	}
}

// left is may; the caller holds mu.
func (u *uploads) left(now time.Time, a asker, size int64) error {
	for i := range u.limits {
		l := &u.limits[i]
		missing := float64(l.cost(size)) - l.of(a).TokensAt(now)
		if missing <= 0 {
			continue
		}
		who := "you have"
		if l.address {
			who = "those of your address have"
		}
		wait := time.Duration(missing / float64(l.shares.every) * float64(time.Second))
		return fmt.Errorf("%s brought as much as one may within an hour: try again in %d min", who, int(math.Ceil(wait.Minutes())))
	}
	switch {
	case u.under[a.household] >= uploadsOfAddress:
		return errBringTwo
	case u.all >= uploadsAtOnce:
		return errOthersBring
	}
	return nil
}

func (l *uploadLimit) of(a asker) *rate.Limiter {
	if l.address {
		return l.shares.get(a.household)
	}
	return l.shares.get(a.person)
}

// cost is a file's cost, at most the whole share: the largest size of a file is bounded elsewhere.
func (l *uploadLimit) cost(size int64) int {
	if !l.bytes {
		return 1
	}
	return int(min(max(size, 0), int64(l.shares.burst)))
}

// MayUpload counts the question, and says why somebody may not bring a file of that size now.
func (v *Visit) MayUpload(r *http.Request, size int64) error {
	if v.talk.cfg.Disk.Full() {
		return v.talk.cfg.NoDisk
	}
	return limited(v.talk.pace.uploads.may(time.Now(), v.asker(r, ""), size))
}

// BeginUpload counts a file that somebody brings, after MayUpload. person is who brings it. Call done at its end.
func (v *Visit) BeginUpload(r *http.Request, size int64) (person string, done func(), err error) {
	switch {
	case !v.talk.mayLog():
		return "", nil, ErrTooMuch
	case v.talk.cfg.Disk.Full():
		return "", nil, v.talk.cfg.NoDisk
	}
	a := v.asker(r, "")
	done, err = v.talk.pace.uploads.begin(time.Now(), a, size)
	return a.person, done, limited(err)
}

// limited makes an error an ErrTooMuch without changing its words.
func limited(err error) error {
	if err == nil {
		return nil
	}
	return &tooMuch{err}
}

// tooMuch is an ErrTooMuch that says which limit was reached.
type tooMuch struct{ error }

// Unwrap returns the limit.
func (t *tooMuch) Unwrap() error { return t.error }

// Is makes it an ErrTooMuch.
func (t *tooMuch) Is(other error) bool { return other == ErrTooMuch }
