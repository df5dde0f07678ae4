package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

// Uploads takes songs that guests bring. Guests see its errors; a *messages.UploadRefused says more.
type Uploads interface {
	// May says why a file of that name and size would be refused.
	May(ctx context.Context, name string, size int64) error
	// Take returns the song's name once it can be requested.
	Take(ctx context.Context, file Upload, body io.Reader) (song, title string, err error)
	// Place is where the upload of that id is among those that are checked one after the other; 1: it is checked now, 0: it
	// is not there.
	Place(id string) int
	// Offer says which files are taken.
	Offer() Offer
}

// Upload is a file that a guest brings.
type Upload struct {
	ID         string // that the guest's program has made up
	Name       string // as the guest calls it
	Size       int64
	By, Person string
}

// Offer says which files a radio takes.
type Offer struct {
	Largest int64    `json:"largest"` // bytes
	Endings []string `json:"endings"` // of their names
}

const (
	// slowest is the least bytes a second of a whole body, apart from one pause.
	slowest, pause = 16 << 10, 10 * time.Second
	// maxUploadID is the longest id of an upload, in bytes.
	maxUploadID = 64
)

var errNoUploads = errors.New("this radio takes no songs from guests: its host allows it with --accept-uploads")

// upload takes a song: PUT sends it, GET asks beforehand whether it would be taken, and meanwhile what happens to it. The page asks
// first, because a browser that is refused in the middle of a large body does not get the reason.
func (s *site) upload(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet, http.MethodPut) || !mayAsk(w, r) { // it looks through the folder, whatever comes of it
		return
	}
	visit := transport.VisitOf(r.Context())
	query := r.URL.Query()
	switch name, id := query.Get("name"), query.Get("id"); {
	case s.cfg.Uploads == nil:
		fail(w, http.StatusNotFound, errNoUploads)
	case visit == nil:
		fail(w, http.StatusNotFound, errors.New("songs are brought to the server's port"))
	case len(id) > maxUploadID:
		fail(w, http.StatusBadRequest, fmt.Errorf("an id has at most %d bytes", maxUploadID))
	case name == "" && id != "" && r.Method == http.MethodGet:
		reply(w, http.StatusOK, map[string]string{"text": inLine(s.cfg.Uploads.Place(id))})
	case name == "" && r.Method == http.MethodGet:
		reply(w, http.StatusOK, s.cfg.Uploads.Offer())
	case name == "":
		fail(w, http.StatusBadRequest, errors.New("say what the file is called: /upload?name=song.mp3"))
	case r.Method == http.MethodGet:
		s.mayUpload(w, r, visit, name)
	case r.ContentLength < 0:
		fail(w, http.StatusLengthRequired, errors.New("say how large the file is, with Content-Length"))
	default:
		where := byProgram
		if r.Header.Get("Origin") != "" { // every browser sends it
			where = onThePage
		}
		s.bring(w, r, visit, Upload{ID: id, Name: name, Size: r.ContentLength, By: called(query.Get("by"), where)})
	}
}

// inLine says what happens to a file that has been sent; "" if that is not known.
func inLine(place int) string {
	switch place {
	case 0:
		return ""
	case 1:
		return "is checked"
	}
	return transport.Ordinal(place) + " in line to be checked"
}

// mayUpload says whether a file of the said name and size would be taken.
func (s *site) mayUpload(w http.ResponseWriter, r *http.Request, visit *transport.Visit, name string) {
	size, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, errors.New("say how large the file is: /upload?name=song.mp3&bytes=3000000"))
		return
	}
	if err = visit.MayUpload(r, size); err == nil {
		err = s.cfg.Uploads.May(r.Context(), name, size)
	}
	if err != nil {
		notTaken(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]bool{"may": true})
}

func (s *site) bring(w http.ResponseWriter, r *http.Request, visit *transport.Visit, file Upload) {
	out := http.NewResponseController(w)
	err := visit.MayUpload(r, file.Size)
	if err == nil {
		err = s.cfg.Uploads.May(r.Context(), file.Name, file.Size) // a refused file does not count for the hour's share
	}
	if err != nil {
		turnAway(w, r, err)
		return
	}
	person, done, err := visit.BeginUpload(r, file.Size)
	if err != nil {
		turnAway(w, r, err)
		return
	}
	defer done()
	file.Person = person
	body := &paced{
		body: http.MaxBytesReader(w, r.Body, file.Size), left: file.Size, deadline: out.SetReadDeadline, start: time.Now(),
		whole: func() {
			_ = out.SetReadDeadline(time.Time{}) // or the server would think that the visitor has gone, while it checks the file
		},
	}
	song, title, err := s.cfg.Uploads.Take(r.Context(), file, body)
	_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
	if err != nil {
		notTaken(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]string{"song": song, "title": title, "text": "Song " + plain.Text(song, messages.MaxSongName) +
		" is here. PLAY " + plain.Text(song, messages.MaxSongName) + " asks for it."})
}

const (
	// unreadTime and unreadBytes bound what is still read of a file that is not taken.
	unreadTime  = 500 * time.Millisecond
	unreadBytes = 1 << 20
)

// turnAway answers why a file is not taken that the client has begun to send. If the connection ended at once, the client
// would see only that, so some more is read.
func turnAway(w http.ResponseWriter, r *http.Request, err error) {
	out := http.NewResponseController(w)
	_ = out.EnableFullDuplex()
	w.Header().Set("Connection", "close")
	notTaken(w, err)
	_ = out.Flush()
	_ = out.SetReadDeadline(time.Now().Add(unreadTime))
	_, _ = io.CopyN(io.Discard, r.Body, unreadBytes)
}

// notTaken answers why a file is not taken.
func notTaken(w http.ResponseWriter, err error) {
	code := http.StatusServiceUnavailable
	if refused, is := errors.AsType[*messages.UploadRefused](err); is {
		code = map[messages.UploadFault]int{
			messages.UploadUnfit: http.StatusUnprocessableEntity, messages.UploadTooLarge: http.StatusRequestEntityTooLarge,
			messages.UploadKnown: http.StatusConflict, messages.UploadCut: http.StatusBadRequest,
			messages.UploadNoRoom: http.StatusInsufficientStorage, messages.UploadAway: http.StatusServiceUnavailable,
		}[refused.Fault]
	}
	if errors.Is(err, transport.ErrTooMuch) {
		code = http.StatusTooManyRequests
	}
	if transport.OthersBring(err) { // that passes soon
		w.Header().Set("Retry-After", "3")
	}
	fail(w, code, err)
}

// paced reads a body that must not come too slowly. Each byte that comes extends the deadline.
type paced struct {
	body     io.Reader
	left     int64
	read     int64
	start    time.Time
	deadline func(time.Time) error
	whole    func() // is called when the whole body has come
}

// Read reads with the deadline for the bytes so far.
func (p *paced) Read(b []byte) (int, error) {
	_ = p.deadline(p.start.Add(pause + time.Duration(p.read)*time.Second/slowest))
	n, err := p.body.Read(b)
	p.read += int64(n)
	if p.left -= int64(n); p.left <= 0 && p.whole != nil {
		p.whole()
		p.whole = nil
	}
	return n, err
}
