// Sends each file by itself to the API, two at a time, and shows how far it is. Tells the list by 'added'.
const rows = document.createElement("ul");
rows.className = "uploads";
rows.setAttribute("aria-live", "polite");
element.after(rows);
const waiting = [];
let sending = 0;

element.addEventListener("change", (event) => {
  add([...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]));
  event.target.value = "";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  element.addEventListener(name, (event) => {
    event.preventDefault();
    element.querySelector(".drop")?.classList.toggle("over", name === "dragover");
  });
}
element.addEventListener("drop", async (event) => {
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  add((await Promise.all(entries.map(walk))).flat());
});

// All files of a folder, with their paths in it.
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [[entry.fullPath.replace(/^\//, ""), file]];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(walk))).flat());
  }
}

function add(files) {
  rows.querySelectorAll(".failed").forEach((row) => row.remove());
  const base = element.querySelector(".drop").dataset.knowledgeBase;
  for (const [name, file] of files) {
    const row = document.createElement("li");
    row.innerHTML = '<span class="name"></span><span class="told">waiting</span><progress max="1" value="0"></progress>';
    row.querySelector(".name").textContent = name;
    row.querySelector("progress").setAttribute("aria-label", `Upload of ${name}`);
    rows.append(row);
    waiting.push({ name, file, base, row });
  }
  while (sending < 2 && waiting.length) next();
}

function next() {
  const { name, file, base, row } = waiting.shift();
  const told = row.querySelector(".told");
  const bar = row.querySelector("progress");
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append("file", file, name);
  sending += 1;
  told.textContent = "";
  request.upload.onprogress = (event) => {
    bar.value = event.lengthComputable ? event.loaded / event.total : 0;
  };
  request.onloadend = () => {
    sending -= 1;
    if (waiting.length) next();
    finish(row, told, request);
    trigger("added", {});
  };
  request.open("POST", `/api/v1/knowledge-bases/${encodeURIComponent(base)}/documents`);
  request.send(form);
}

// The id by which logs know the request.
function quoted(request) {
  return request ? ` (Request ${request})` : "";
}

function finish(row, told, request) {
  row.querySelector("progress").remove();
  let answer = {};
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    // no answer at all, or not one of ours
  }
  if (request.status >= 200 && request.status < 300) {
    told.textContent = answer.duplicate ? "is here already" : "added";
    setTimeout(() => row.remove(), answer.duplicate ? 5000 : 1500);
  } else {
    row.className = "failed";
    told.textContent = request.status
      ? `${answer.title ?? "The service did not take it."} ${answer.detail ?? ""}${quoted(answer.request)}`
      : "The service did not answer. Check that it is running and try again.";
  }
}
