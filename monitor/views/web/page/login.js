/** Gives the token for a cookie. */
const form = document.getElementById('login-form');
const problem = document.getElementById('problem');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const token = document.getElementById('token').value;
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
