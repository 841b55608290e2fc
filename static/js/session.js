// The session of this page: whose it is, and how a page goes on after its person signed in again in another tab.

export const person = document.querySelector("[data-person]")?.dataset.person;

const channel = new BroadcastChannel("session");

if (person) channel.postMessage(person);

// Resolves once this person has opened another page of the portal, which takes a session. What this page sends
// has its token then: a sign-in makes a new one.
export function signedInAgain() {
  return new Promise((resolve) => {
    const listen = async ({ data }) => {
      if (data !== person || !(await renewToken())) return;
      channel.removeEventListener("message", listen);
      resolve();
    };
    channel.addEventListener("message", listen);
  });
}

async function renewToken() {
  try {
    const response = await fetch(location.href);
    const { body } = new DOMParser().parseFromString(await response.text(), "text/html");
    if (body.querySelector("[data-person]")?.dataset.person !== person) return false;
    document.body.setAttribute("hx-headers", body.getAttribute("hx-headers"));
    const { value } = body.querySelector("[name=csrfmiddlewaretoken]");
    for (const input of document.querySelectorAll("[name=csrfmiddlewaretoken]")) input.value = value;
    return true;
  } catch {
    return false;
  }
}
