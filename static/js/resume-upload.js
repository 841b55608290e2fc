// Uploads of this person that stopped before they were whole, as tus-js-client keeps them in localStorage.

const TUS = { "Tus-Resumable": "1.0.0" };

// Name, size and time of a file are the same when it is chosen again, or packed again from the same pictures.
export function fingerprint(person, file) {
  return ["portal", person, file.name, file.size, file.lastModified].join("-");
}

export async function unfinished(person) {
  const storage = tus.defaultOptions.urlStorage;
  const mine = (await storage.findAllUploads()).filter(({ urlStorageKey }) =>
    urlStorageKey.startsWith(`tus::portal-${person}-`),
  );
  mine.sort((one, two) => new Date(two.creationTime) - new Date(one.creationTime));
  for (const upload of mine) {
    const answer = await fetch(upload.uploadUrl, { method: "HEAD", headers: TUS }).catch(() => null);
    if (!answer) return null;
    const number = (name) => Number(answer.headers.get(name));
    const [offset, length] = [number("Upload-Offset"), number("Upload-Length")];
    if (answer.ok && offset < length) return { ...upload, percent: Math.floor((100 * offset) / length) };
    if (answer.ok || answer.status === 404) await storage.removeUpload(upload.urlStorageKey);
  }
  return null;
}

export async function forget(upload, headers) {
  await tus.Upload.terminate(upload.uploadUrl, { headers }).catch(() => {});
  await tus.defaultOptions.urlStorage.removeUpload(upload.urlStorageKey);
}
