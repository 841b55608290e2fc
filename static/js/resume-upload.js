// Uploads of this person that stopped half-way, as tus-js-client keeps them in localStorage.

import { showFailure } from "./failures.js";

const TUS = { "Tus-Resumable": "1.0.0" };

// Name, size and time of a file are the same when it is chosen again, or packed again from the same images.
export function fingerprint(person, file) {
  return ["portal", person, file.name, file.size, file.lastModified].join("-");
}

export async function findUnfinished(person) {
  const storage = tus.defaultOptions.urlStorage;
  const uploads = (await storage.findAllUploads()).filter(({ urlStorageKey }) =>
    urlStorageKey.startsWith(`tus::portal-${person}-`),
  );
  uploads.sort((one, two) => new Date(two.creationTime) - new Date(one.creationTime));
  for (const upload of uploads) {
    const response = await fetch(upload.uploadUrl, { method: "HEAD", headers: TUS }).catch(() => null);
    if (!response) return null;
    const header = (name) => Number(response.headers.get(name));
    const [offset, length] = [header("Upload-Offset"), header("Upload-Length")];
    if (response.ok && offset < length) return { ...upload, percent: Math.floor((100 * offset) / length) };
    if (response.ok || response.status === 404) await storage.removeUpload(upload.urlStorageKey);
  }
  return null;
}

// Deletes an upload at the portal. Returns whether it is gone; a failure is said, with what `element` says of it.
export async function isDeleted(remove, element) {
  try {
    await remove();
    return true;
  } catch (error) {
    const response = error.originalResponse;
    const status = response?.getStatus() ?? 0;
    if (status === 404) return true;
    const fromPortal = Boolean(response?.getHeader("X-Request-ID"));
    const answer = { status, text: response?.getBody() ?? "", fromPortal, wasOffline: !navigator.onLine };
    showFailure("delete upload", answer, { form: element, retry: () => isDeleted(remove, element) });
    return false;
  }
}

export function discard(upload, headers, element) {
  return isDeleted(async () => {
    await tus.Upload.terminate(upload.uploadUrl, { headers });
    await tus.defaultOptions.urlStorage.removeUpload(upload.urlStorageKey);
  }, element);
}
