// Uploads of this person that stopped half-way, as tus-js-client keeps them in localStorage.

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

export async function discard(upload, headers) {
  await tus.Upload.terminate(upload.uploadUrl, { headers }).catch(() => {});
  await tus.defaultOptions.urlStorage.removeUpload(upload.urlStorageKey);
}
