/** Gives the token for a cookie. */
import { element } from './element.js';

const form = element('login-form');
const field = /** @type {HTMLInputElement} */ (element('token'));
const problem = element('problem');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const token = field.value;
  try {
    const response = await fetch('/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    const answer = await response.json();
    if (answer.problem === undefined) location.assign('/');
    else problem.textContent = answer.problem;
  } catch {
    problem.textContent = 'the monitor does not answer';
  }
});
