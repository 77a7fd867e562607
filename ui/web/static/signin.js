// Sends the typed code. A form cannot do it: the browser would call its
// origin "null", and the server would refuse it.
'use strict';
(() => {
  const form = document.getElementById('sign-in');
  const code = document.getElementById('code');
  const said = document.getElementById('said');

  form.addEventListener('submit', async event => {
    event.preventDefault();
    said.textContent = '';
    try {
      const answer = await fetch('/login', {method: 'POST', body: code.value.slice(0, 32), redirect: 'error'});
      if (answer.ok) {
        location.replace((await answer.json()).page);
        return;
      }
      said.textContent = await answer.text();
    } catch {
      said.textContent = 'mailcote does not answer. Is it still running?';
    }
    code.select();
  });
})();
