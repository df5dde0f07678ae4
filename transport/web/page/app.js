// The page of a conga server. What others have said is only ever set as text.
'use strict';
const $ = id => document.getElementById(id);

// --- what is known -------------------------------------------------------------------------------
const live = {};      // the parts as the server tells them
let past = null;      // the parts of an event that is looked back at; null: it is now
let ahead = 0;        // how much the server's clock is ahead of this one, in ms
const part = name => (past || live)[name];
const serverNow = () => (past ? past.now.nowUs / 1000 : Date.now() + ahead);

// --- small things --------------------------------------------------------------------------------
function make(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}
function two(n) { return String(n).padStart(2, '0'); }
function length(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}
function clock(ms, seconds) {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? ':' + two(d.getSeconds()) : ''}`;
}
function hue(text) {
  let h = 7;
  for (const c of text) h = (h * 31 + c.codePointAt(0)) % 360;
  return h;
}
function plural(n, one, many) { return `${n} ${n === 1 ? one : many}`; }
function row(song, note, right) {
  const li = make('li'), what = make('div', 'what');
  what.append(make('b', '', song.title));
  if (note) what.append(make('small', '', note));
  li.append(what);
  if (right !== undefined) li.append(right instanceof Node ? right : make('span', 'when', right));
  return li;
}
const notes = (...texts) => texts.filter(Boolean).join(' · ');
async function fetched(url, options) {
  const answer = await fetch(url, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const err = new Error(body.error || `The server says ${answer.status}.`);
    err.again = Number(answer.headers.get('Retry-After')) || 0; // in so many seconds
    throw err;
  }
  return body;
}

// --- what plays ----------------------------------------------------------------------------------
let shownSong = '';
function showNow() {
  const now = part('now');
  if (!now) return;
  const song = now.song;
  $('nowEyebrow').textContent = past ? 'It was on' : 'On now';
  $('nowTitle').textContent = song ? song.title : now.away ? 'The songs are away' : now.songs ? 'A moment …' : 'No songs yet';
  $('nowArtist').textContent = song ? song.artist || '' : now.away || '';
  $('nowBy').textContent = song && now.by ? `${now.by} asked for it` : '';
  $('length').textContent = song ? length(song.durationUs / 1000) : '';
  const key = song ? song.name + now.number : '';
  if (key !== shownSong) {
    shownSong = key;
    $('coverImage').hidden = true;
    $('cover').style.setProperty('--hue', hue(song ? song.name : 'conga'));
    $('coverLetter').textContent = song ? [...song.title][0].toUpperCase() : '';
    if (song) loadCover(song.name, key);
    if ('mediaSession' in navigator && window.MediaMetadata) {
      navigator.mediaSession.metadata = song ? new MediaMetadata({ title: song.title, artist: song.artist || '' }) : null;
    }
  }
  $('skip').hidden = !(song && now.needed) || Boolean(past);
  $('fromStart').hidden = !(song && live.again) || Boolean(past);
  $('hearPast').hidden = !live.again;
  $('skip').textContent = now.votes ? `Skip (${now.votes} of ${now.needed})` : 'Skip';
  $('skip').setAttribute('aria-label', `Vote for the next song: ${now.votes || 0} of ${now.needed || 0} votes`);
  document.title = song && !past ? `${song.title} · conga` : 'conga';
  tick();
}
// A song without a picture is no error: the placeholder stays.
async function loadCover(name, key) {
  const answer = await fetch('/cover?song=' + encodeURIComponent(name)).catch(() => null);
  if (!answer || answer.status !== 200 || key !== shownSong) return;
  $('coverImage').src = answer.url;
  $('coverImage').hidden = false;
}
function tick() {
  const now = part('now'), song = now && now.song;
  const at = song ? Math.min(Math.max(serverNow() - now.playAtUs / 1000, 0), song.durationUs / 1000) : 0;
  $('elapsed').textContent = song ? length(at) : '';
  $('progress').value = song && song.durationUs ? Math.round(1000 * at / (song.durationUs / 1000)) : 0;
}
setInterval(tick, 500);

// What this browser has asked for, and whether it was seen in the queue. The server says whether it may be cancelled.
let mine = new Map();
try { mine = new Map(JSON.parse(localStorage.getItem('mine') || '[]')); } catch { /* it keeps nothing then */ }
function keepMine() { try { localStorage.setItem('mine', JSON.stringify([...mine])); } catch { /* likewise */ } }

// --- what comes, what was ------------------------------------------------------------------------
function showQueue() {
  const queue = part('queue');
  if (!queue) return;
  const all = queue.songs.length + (queue.more || 0);
  $('queueCount').textContent = all || '';
  $('queueEmpty').hidden = all > 0;
  $('queue').replaceChildren(...queue.songs.map(q =>
    row(q, notes(q.artist, q.by && `for ${q.by}`, q.why && `waits: ${q.why}`, mine.has(q.name) && q.atUs && eta(q.atUs / 1000)),
      mine.has(q.name) && !past ? cancelButton(q) : q.atUs ? eta(q.atUs / 1000) : '')));
  if (past || queue.more) return;
  for (const [name, seen] of mine) {
    const waits = queue.songs.some(q => q.name === name);
    if (waits) mine.set(name, true); else if (seen) mine.delete(name); // else the queue is not told yet
  }
  keepMine();
}
function cancelButton(song) {
  const button = make('button', 'quiet', 'Cancel');
  button.type = 'button';
  button.setAttribute('aria-label', `Cancel your request for ${song.title}`);
  button.addEventListener('click', () => act('/cancel', song, button));
  return button;
}
async function act(url, song, button) {
  button.disabled = true;
  try {
    say((await post(url, song.name)).text, false);
  } catch (err) {
    say(err.message, true);
  }
  button.disabled = false;
}
function newID() { return Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, '0')).join(''); }
function post(url, song) {
  const id = newID();
  return fetched(url, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ song, id, name: $('name').value }),
  });
}
$('skip').addEventListener('click', () => act('/skip', part('now').song, $('skip')));
function eta(ms) {
  const minutes = Math.round((ms - serverNow()) / 60000);
  return minutes < 1 ? 'soon' : minutes < 60 ? `in ${minutes} min` : `at ${clock(ms)}`;
}
function showHistory() {
  const songs = live.history;
  if (!songs) return;
  $('historyEmpty').hidden = songs.length > 0;
  $('history').replaceChildren(...songs.slice(0, 12).map(p =>
    row(p, notes(p.artist, p.by && `for ${p.by}`, p.cut && 'broke off'), clock(p.atUs / 1000))));
}

// --- asking for songs ----------------------------------------------------------------------------
let found = [], total = 0, searching = 0;
async function search(from) {
  const words = $('words').value.trim(), mine = ++searching;
  try {
    const page = await fetched(`/songs?q=${encodeURIComponent(words)}&from=${from}`);
    if (mine !== searching) return;
    found = from ? found.concat(page.songs) : page.songs;
    total = page.total;
    $('songsNone').textContent = words ? `No song has “${words}” in its title, artist or file name.` : 'There are no songs yet.';
  } catch (err) {
    if (mine === searching) say(err.message, true);
  }
  showSongs();
}
function showSongs() {
  const waiting = new Set((live.queue ? live.queue.songs : []).map(q => q.name));
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.song : '';
  $('songs').replaceChildren(...found.map(song => {
    const waits = waiting.has(song.name), button = make('button', '', waits ? 'In the queue' : 'Request');
    button.type = 'button';
    button.disabled = waits;
    button.dataset.song = song.name;
    button.setAttribute('aria-label', waits ? `${song.title} is in the queue` : `Request ${song.title}`);
    button.addEventListener('click', () => request(song, button));
    return row(song, notes(song.artist, song.durationUs && length(song.durationUs / 1000)), button);
  }));
  if (focused) {
    for (const b of $('songs').querySelectorAll('button')) if (b.dataset.song === focused) b.focus({ preventScroll: true });
  }
  $('songsNone').hidden = found.length > 0;
  $('moreSongs').hidden = found.length >= total;
}
async function request(song, button, where = 'answer') {
  button.disabled = true;
  try {
    const got = await post('/request', song.name);
    mine.set(got.song, false);
    keepMine();
    showQueue();
    tell(where, `“${song.title}”: ${got.text}`, false);
  } catch (err) {
    tell(where, `“${song.title}”: ${err.message}`, true);
    button.disabled = false;
  }
}
function tell(where, text, bad) {
  $(where).textContent = text;
  $(where).className = 'note ' + (bad ? 'bad' : 'good');
}
function say(text, bad) { tell('answer', text, bad); }
let typing = 0;
$('words').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => search(0), 120); });
$('find').addEventListener('submit', e => { e.preventDefault(); search(0); });
$('moreSongs').addEventListener('click', () => search(found.length));
try { $('name').value = localStorage.getItem('name') || ''; } catch { /* it keeps no name then */ }
$('name').addEventListener('change', () => { try { localStorage.setItem('name', $('name').value); } catch { /* likewise */ } });

// --- bringing songs ------------------------------------------------------------------------------
let coming = Promise.resolve(); // one file after the other
function megabytes(n) { return n < 1 << 20 ? `${Math.ceil(n / 1024)} KB` : `${Math.round(n / (1 << 20) * 10) / 10} MB`; }
function showUploads() {
  const offer = live.uploads;
  $('bring').hidden = !offer || Boolean(past);
  if (!offer) return;
  $('bringRule').textContent = `${offer.endings.length > 1 ? 'Music of any kind' : 'mp3 files'}, at most ${megabytes(offer.largest)} each. Everybody here may then ask for them.`;
  $('files').accept = offer.endings.join();
}
function bring(files) {
  for (const file of files) {
    const progress = make('progress'), li = row({ title: file.name }, 'waits', progress);
    progress.max = file.size || 1;
    progress.value = 0;
    progress.setAttribute('aria-label', `How much of ${file.name} has been sent`);
    $('brought').prepend(li);
    while ($('brought').children.length > 20) $('brought').lastChild.remove();
    coming = coming.then(() => bringOne(file, li, progress));
  }
}
async function bringOne(file, li, progress) {
  const note = li.querySelector('small');
  try {
    if (file.size > live.uploads.largest) throw new Error(`It has ${megabytes(file.size)}, and this radio takes at most ${megabytes(live.uploads.largest)}.`);
    const name = 'name=' + encodeURIComponent(file.name), id = newID();
    await mayBring(`/upload?${name}&bytes=${file.size}`, note);
    note.textContent = 'is sent …';
    const got = await send(`/upload?${name}&id=${id}&by=${encodeURIComponent($('name').value)}`, file, sent => {
      progress.value = sent;
      if (sent >= file.size) {
        progress.removeAttribute('value'); // how long the check takes is not known
        note.textContent = 'is checked …';
      }
    }, () => inLine(id, note));
    note.textContent = 'is here';
    const button = make('button', '', 'Request'), song = { name: got.song, title: got.title };
    button.type = 'button';
    button.setAttribute('aria-label', `Request ${got.title}`);
    button.addEventListener('click', () => request(song, button, 'bringNote'));
    progress.replaceWith(button);
    tell('bringNote', `“${got.title}” is here: everybody may ask for it.`, false);
    search(0);
  } catch (err) {
    progress.remove();
    note.textContent = err.message;
    tell('bringNote', `“${file.name}” was not taken: ${err.message}`, true);
  }
}
// Who is refused while sending does not hear why, so the page asks beforehand. It waits while others bring songs.
async function mayBring(url, note) {
  for (;;) {
    try { return await fetched(url); } catch (err) {
      if (!err.again) throw err;
      note.textContent = 'waits until others have brought theirs …';
      await new Promise(done => setTimeout(done, 1000 * err.again));
    }
  }
}
// Where it is among the files that are checked.
async function inLine(id, note) {
  const now = await fetched('/upload?id=' + id).catch(() => ({}));
  if (now.text) note.textContent = now.text + ' …';
}
// fetch does not say how much has been sent. waits is called again and again while the server answers nothing.
function send(url, file, sent, waits) {
  return new Promise((done, fail) => {
    const ask = new XMLHttpRequest();
    let asking = 0;
    ask.open('PUT', url);
    ask.responseType = 'json';
    ask.upload.onprogress = e => sent(e.loaded);
    ask.upload.onload = () => { asking = setInterval(waits, 1000); };
    ask.onloadend = () => clearInterval(asking);
    ask.onload = () => (ask.status === 200 ? done(ask.response) : fail(new Error((ask.response && ask.response.error) || `The server says ${ask.status}.`)));
    ask.onerror = () => fail(new Error('The connection broke off: try again.'));
    ask.send(file);
  });
}
$('choose').addEventListener('click', () => $('files').click());
$('files').addEventListener('change', () => { bring($('files').files); $('files').value = ''; });
for (const kind of ['dragover', 'drop']) document.addEventListener(kind, e => e.preventDefault()); // a file beside it opens no other page
$('bring').addEventListener('dragover', () => $('drop').classList.add('over'));
$('bring').addEventListener('dragleave', () => $('drop').classList.remove('over'));
$('bring').addEventListener('drop', e => { $('drop').classList.remove('over'); bring(e.dataTransfer.files); });

// --- listening -----------------------------------------------------------------------------------
const audio = $('audio');
const playerBack = 1000; // a player's music begins so many ms before what is heard elsewhere
let begun = 0, levels = []; // when the audio element's clock was 0, in ms of the broadcast; how loud the last songs are
let wanted = false, tries = 0, failed = 0, again = 0, stalled = 0; // failed: in a row, without a sound
let from = null; // the past: when what is played next was heard, in ms of the broadcast; null: the music is live
function open() {
  clearTimeout(again);
  if (!wanted) return;
  if (from !== null) { openPast(); return; }
  // The server sends it to a node, from an encrypted page only to one that encrypts, too. Where none can be used, the server plays.
  audio.src = `/stream.mp3?one-rate&try=${tries}${failed % 2 ? '&here' : location.protocol === 'https:' ? '&tls' : ''}`;
  $('listenNote').textContent = 'Tuning in …';
  begun = Date.now() + ahead - playerBack;
  play();
}
function openPast() {
  from += audio.currentTime * 1000; // since the stream was opened last
  begun = from;
  audio.src = `/stream.mp3?one-rate&try=${tries}&at=${new Date(from).toISOString()}`;
  $('listenNote').textContent = `Going back to ${clock(from, true)} …`;
  play();
}
function play() {
  audio.play().catch(err => {
    if (err.name === 'NotAllowedError') stop('The browser lets no page play by itself: press Listen.');
  });
}
function retry() {
  if (!wanted) return;
  tries++;
  // The stream ends where a song has another sample rate than the one before: then it goes on at once.
  const sounded = audio.currentTime > 0;
  failed = sounded ? 0 : failed + 1;
  if (from !== null && failed > 2) {
    stop('That cannot be heard again now: its songs are gone, or enough others hear the past. Press Listen to hear what is on.');
    return;
  }
  $('listenNote').textContent = sounded ? 'Tuning in again …' : 'The music does not come. Trying again …';
  clearTimeout(again);
  again = setTimeout(open, sounded ? 0 : Math.min(200 * 2 ** failed, 5000));
}
function stop(note) {
  wanted = false;
  from = null;
  clearTimeout(again);
  audio.removeAttribute('src');
  audio.load();
  $('listenNote').textContent = note || '';
  button();
}
function button() {
  $('listen').setAttribute('aria-pressed', String(wanted));
  $('listenText').textContent = wanted ? 'Stop' : 'Listen';
}
$('listen').addEventListener('click', () => {
  if (wanted) stop(); else listen(null);
});
function listen(at) {
  stop();
  from = at;
  wanted = true;
  failed = 0;
  button();
  open();
}
$('fromStart').addEventListener('click', () => listen(live.now.playAtUs / 1000));
$('hearPast').addEventListener('click', () => listen(past.now.nowUs / 1000));
audio.addEventListener('playing', () => {
  $('listenNote').textContent = from === null ? '' : `You hear the past, from ${clock(from, true)} on. Stop, then Listen, and you hear what is on.`;
});
audio.addEventListener('error', retry);
audio.addEventListener('ended', retry);
let lastTime = 0;
setInterval(() => { // what neither plays nor fails is asked for anew
  if (!wanted) { stalled = 0; return; }
  stalled = audio.currentTime === lastTime ? stalled + 1 : 0;
  lastTime = audio.currentTime;
  if (stalled > 8) { stalled = 0; retry(); }
}, 1000);
// A song is as loud as its ReplayGain tag wants, so that all are about equally loud; but no louder than it is. Music comes here
// later than it is on, so the songs are kept with their times: the audio element's clock says which one is heard.
function keepLevel(now) {
  const at = now.playAtUs / 1000;
  if (!now.song || levels.some(l => l.at === at)) return;
  levels = [...levels, { at, factor: 10 ** ((now.gainMb || 0) / 2000) }].slice(-4);
}
function setVolume() {
  const heard = begun + audio.currentTime * 1000;
  const song = from === null && (levels.filter(l => l.at <= heard).pop() || levels[0]);
  audio.volume = Math.min(1, $('volume').value / 100 * (song ? song.factor : 1));
}
$('volume').addEventListener('input', setVolume);
setInterval(setVolume, 200);
if ('mediaSession' in navigator) {
  navigator.mediaSession.setActionHandler('play', () => { if (!wanted) $('listen').click(); });
  navigator.mediaSession.setActionHandler('pause', () => stop());
  navigator.mediaSession.setActionHandler('stop', () => stop());
}

// --- the line ------------------------------------------------------------------------------------
const svg = 'http://www.w3.org/2000/svg';
const drawn = new Map(); // id -> {g, ring, sub, x, y, toX, toY, from}
const wires = new Map(); // id -> {wire, flow}
const still = matchMedia('(prefers-reduced-motion: reduce)');
const layer = { wires: document.createElementNS(svg, 'g'), nodes: document.createElementNS(svg, 'g') };
$('graph').append(layer.wires, layer.nodes);
const radius = 19, ringLength = 2 * Math.PI * radius;
function shape(tag, className, attributes) {
  const e = document.createElementNS(svg, tag);
  if (className) e.setAttribute('class', className);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  return e;
}
function place(i, columns, width) { // a line that turns at its ends, as dancers do
  const r = Math.floor(i / columns), c = i % columns, step = width / columns;
  return [step * ((r % 2 ? columns - 1 - c : c) + 0.5), 34 + r * 92];
}
function showLine() {
  const chain = part('chain');
  if (!chain) return;
  const nodes = [{ id: 'server', name: 'the server', from: '' }, ...chain.nodes];
  const width = Math.max($('graph').clientWidth, 260), columns = Math.max(3, Math.floor(width / 92));
  const rows = Math.ceil(nodes.length / columns), height = rows * 92 + 8;
  $('graph').setAttribute('viewBox', `0 0 ${width} ${height}`);
  $('graph').setAttribute('height', height);
  const here = new Set();
  nodes.forEach((n, i) => {
    here.add(n.id);
    let d = drawn.get(n.id);
    const [x, y] = place(i, columns, width);
    if (!d) {
      const g = shape('g', 'node new'), title = shape('title');
      d = { g, title, ring: shape('circle', 'ring', { r: radius, 'stroke-dasharray': `0 ${ringLength}`, transform: 'rotate(-90)' }),
        name: shape('text', 'name', { y: 36 }), sub: shape('text', 'sub', { y: 50 }), skew: shape('text', 'sub skew', { y: 62 }), letter: shape('text', 'letter'), x, y };
      g.append(title, shape('circle', 'body', { r: radius }), d.ring, d.letter, d.name, d.sub, d.skew);
      layer.nodes.append(g);
      drawn.set(n.id, d);
      setTimeout(() => d.g.classList.remove('new'), 2500);
    }
    d.g.classList.remove('gone');
    d.gone = false;
    d.toX = x; d.toY = y; d.from = n.from;
    d.g.classList.toggle('server', n.id === 'server');
    d.g.classList.toggle('off', Boolean(n.absent || n.silent || n.liar));
    const letters = [...n.name];
    d.letter.textContent = n.id === 'server' ? '♪' : (letters[0] || '?').toUpperCase();
    d.name.textContent = letters.length > 12 ? letters.slice(0, 11).join('') + '…' : n.name;
    d.fullName = n.name;
    let w = wires.get(n.id);
    if (n.from && !w) {
      w = { wire: shape('path', 'wire'), flow: shape('path', 'flow') };
      layer.wires.append(w.wire, w.flow);
      wires.set(n.id, w);
    }
  });
  for (const [id, d] of drawn) {
    if (!here.has(id) && !d.gone) {
      d.gone = true;
      d.g.classList.add('gone');
      setTimeout(() => { if (d.gone) { d.g.remove(); drawn.delete(id); } }, 600);
    }
  }
  for (const [id, w] of wires) {
    const d = drawn.get(id);
    if (!here.has(id) || !d.from) { w.wire.remove(); w.flow.remove(); wires.delete(id); }
  }
  const listeners = chain.nodes.length + (chain.more || 0);
  $('lineCount').textContent = listeners || '';
  const names = new Map(nodes.map(n => [n.id, n.name]));
  $('lineWords').replaceChildren(...chain.nodes.map(n => {
    const li = make('li', '', `${n.name} ${n.from ? `hears from ${names.get(n.from) || 'another listener'}` : 'hears nothing'}`);
    li.dataset.node = n.id;
    li.dataset.text = li.textContent;
    return li;
  }));
  if (chain.more) $('lineWords').append(make('li', '', `and ${chain.more} more`));
  showVitals();
  move();
}
function showVitals() {
  const vitals = past ? {} : live.vitals || {}, full = (live.now && live.now.slackMs || 2000) / 1000;
  for (const [id, d] of drawn) {
    const v = vitals[id];
    const seconds = v ? v[0] / 10 : 0;
    d.ring.setAttribute('stroke-dasharray', `${ringLength * Math.min(Math.max(seconds, 0) / full, 1)} ${ringLength}`);
    d.g.classList.toggle('low', Boolean(v) && seconds < full / 4);
    d.sub.textContent = v ? `${seconds.toFixed(1)} s${v[2] ? ` · ♫${v[2]}` : ''}` : '';
    d.skew.textContent = v ? `${v[1] > 0 ? '+' : ''}${(v[1] / 10).toFixed(1)} ± ${(v[4] / 10).toFixed(1)} ms` : '';
    d.g.classList.toggle('apart', apart(v));
    d.title.textContent = v ? `${d.fullName}: ${skewWords(v)}` : d.fullName;
  }
  for (const li of $('lineWords').children) {
    const v = li.dataset.node && vitals[li.dataset.node];
    if (li.dataset.node) {
      li.textContent = li.dataset.text + (v ? `; has ${(v[0] / 10).toFixed(1)} s of music in hand` +
        `, ${skewWords(v)}` +
        (v[3] ? `, plays for ${v[2]} of ${v[3]} over HTTP` : '') : '');
    }
  }
}
// apart: more than 20 ms from the others, as far as it knows, or it may be: ears hear two sounds.
function apart(v) { return Boolean(v) && Math.max(Math.abs(v[1]), v[4]) > 200; }
function skewWords(v) {
  const off = v[1] ? `plays ${(Math.abs(v[1]) / 10).toFixed(1)} ms too ${v[1] > 0 ? 'late' : 'early'}` : 'plays in time';
  return `${off}, as far as it knows the clock: to ${(v[4] / 10).toFixed(1)} ms` + (apart(v) ? '; that is apart from the others, and its own log says why' : '');
}
let moving = 0;
function move() { if (!moving) moving = requestAnimationFrame(step); }
function step() {
  moving = 0;
  let more = false;
  for (const d of drawn.values()) {
    const dx = d.toX - d.x, dy = d.toY - d.y;
    if (still.matches || Math.abs(dx) + Math.abs(dy) < 0.5) { d.x = d.toX; d.y = d.toY; } else { d.x += dx * 0.14; d.y += dy * 0.14; more = true; }
    d.g.setAttribute('transform', `translate(${d.x.toFixed(1)} ${d.y.toFixed(1)})`);
  }
  for (const [id, w] of wires) {
    const to = drawn.get(id), from = to && drawn.get(to.from);
    if (!from) continue;
    const dx = to.x - from.x, dy = to.y - from.y, far = Math.hypot(dx, dy) || 1;
    const bend = Math.abs(dy) < 1 && Math.abs(dx) > 130 ? -Math.min(60, Math.abs(dx) / 4) : 0; // over the heads of those between
    const [sx, sy] = [from.x + dx / far * (radius + 4), from.y + dy / far * (radius + 4)];
    const [ex, ey] = [to.x - dx / far * (radius + 4), to.y - dy / far * (radius + 4)];
    const side = Math.abs(dx) < 1 && Math.abs(dy) > 1 ? (to.x > $('graph').clientWidth / 2 ? 76 : -76) : 0; // around the names
    const path = `M${sx.toFixed(1)} ${sy.toFixed(1)}Q${((sx + ex) / 2 + side).toFixed(1)} ${((sy + ey) / 2 + bend).toFixed(1)} ${ex.toFixed(1)} ${ey.toFixed(1)}`;
    w.wire.setAttribute('d', path);
    w.flow.setAttribute('d', path);
  }
  if (more) move();
}
new ResizeObserver(() => showLine()).observe($('graph'));

// --- what happened, and going back ---------------------------------------------------------------
let earlier = 0, travelling = 0, logLast = 0, logging = 0;
async function showLog(upTo, append) {
  const mine = ++logging;
  let page;
  try {
    page = await fetched('/log?to=' + (upTo || 0));
  } catch (err) { return; }
  if (mine !== logging) return;
  const rows = page.words.map(w => {
    const li = make('li'), at = make('button', '', clock(w.atUs / 1000, true));
    at.type = 'button';
    at.setAttribute('aria-label', `Go back to ${clock(w.atUs / 1000, true)}, event ${w.event}`);
    at.addEventListener('click', () => { $('travel').value = w.event; travel(w.event); });
    li.append(at, make('span', w.kind === 'trouble' ? 'trouble' : '', w.text));
    return li;
  });
  if (append) $('log').append(...rows); else $('log').replaceChildren(...rows);
  earlier = page.before;
  $('moreLog').hidden = !earlier;
  logLast = page.last;
  $('travel').min = page.first;
  $('travel').max = page.last;
  if (!past) $('travel').value = page.last;
  $('travelAt').textContent = past ? `event ${past.now.event}` : 'now';
}
async function travel(event) {
  clearTimeout(travelling);
  if (event >= logLast) { backToNow(); return; }
  $('travelAt').textContent = `event ${event}`;
  travelling = setTimeout(async () => {
    try {
      past = await fetched('/at?event=' + event);
    } catch (err) {
      $('travelAt').textContent = err.message;
      return;
    }
    $('past').hidden = false;
    $('pastWhen').textContent = `${clock(past.now.nowUs / 1000, true)}, after event ${past.now.event}.`;
    showAll();
    showLog(event);
  }, 120);
}
function backToNow() {
  clearTimeout(travelling);
  past = null;
  $('past').hidden = true;
  showAll();
  showLog(0);
}
$('travel').addEventListener('input', () => travel(Number($('travel').value)));
$('backToNow').addEventListener('click', backToNow);
$('moreLog').addEventListener('click', () => showLog(earlier, true));

// --- the server's news ---------------------------------------------------------------------------
const show = { now: showNow, queue: () => { showQueue(); showSongs(); }, chain: showLine, vitals: showVitals, history: showHistory, uploads: showUploads, again: showNow, lead: showLead };
function showAll() { for (const name in show) show[name](); }
let songsThere = -1, fresh = 0;
function listenToNews() {
  const news = new EventSource('/live');
  for (const name in show) {
    news.addEventListener(name, e => {
      live[name] = JSON.parse(e.data);
      if (name === 'now') {
        ahead = live.now.nowUs / 1000 - Date.now();
        keepLevel(live.now);
        if (live.now.songs !== songsThere) { songsThere = live.now.songs; search(0); }
        if (live.now.event !== logLast && !past && !fresh) fresh = setTimeout(() => { fresh = 0; if (!past) showLog(0); }, 1500);
        state();
      }
      if (!past || name === 'history') show[name]();
    });
  }
  news.onopen = () => state();
  news.onerror = () => {
    state('The server does not answer. Trying again …');
    goToLeader();
    if (news.readyState === EventSource.CLOSED) setTimeout(listenToNews, 5000);
  };
}
function state(trouble) {
  const listeners = live.chain ? live.chain.nodes.length + (live.chain.more || 0) : 0;
  $('state').textContent = trouble || `${plural(live.now ? live.now.songs : 0, 'song', 'songs')}, ${plural(listeners, 'listener', 'listeners')} in the line`;
  $('state').classList.toggle('away', Boolean(trouble));
  const others = trouble && live.lead ? live.lead.servers.filter(server => server !== location.host) : [];
  if (others.length) $('state').append(' The music may be at');
  for (const server of others) {
    const there = make('a', '', server);
    there.href = `${location.protocol}//${server}/`;
    $('state').append(' ', there);
  }
}
// A server that stands by leads a browser to the one that plays, but not the news, which no other page may read.
async function goToLeader() {
  const answer = live.lead && await fetch('/', { redirect: 'manual' }).catch(() => null);
  if (answer && answer.type === 'opaqueredirect') location.reload();
}
// Of several servers any may be gone when somebody uses the line.
function showLead() {
  const lead = live.lead, here = location.port === '7000' ? location.hostname : location.host;
  $('join').textContent = 'conga join ' + (lead ? lead.servers.join(',') : here);
  $('lead').hidden = !lead;
  if (!lead) return;
  const since = lead.sinceUs ? ' since ' + new Date(lead.sinceUs / 1000).toLocaleString() : '';
  $('lead').textContent = `This radio has ${plural(lead.servers.length, 'server', 'servers')}: ${lead.server} leads${since}. If it is gone, another takes over.`;
}
showLead();
listenToNews();
showLog(0);
