// The door of a radio that asks for a token.
'use strict';
const token = document.getElementById('token'), answer = document.getElementById('answer');

async function enter(said) {
  answer.textContent = '';
  try {
    const got = await fetch('/enter', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token: said }) });
    const body = await got.json();
    if (got.ok) { location.replace('/'); return; }
    answer.textContent = body.error;
  } catch (err) {
    answer.textContent = 'The server does not answer.';
  }
  token.value = '';
  token.focus();
}

document.getElementById('enter').addEventListener('submit', e => { e.preventDefault(); enter(token.value); });

// A link may have the token behind #. It goes out of sight, and out of the history.
let brought = location.hash.slice(1);
try { brought = decodeURIComponent(brought); } catch { /* then it is no code */ }
if (brought) {
  history.replaceState(null, '', '/');
  enter(brought);
} else {
  // Whoever has been here before, and follows a link from elsewhere, shows the cookie only now.
  fetch('/enter').then(got => got.json()).then(got => { if (got.in) location.replace('/'); else token.focus(); }).catch(() => {});
}
