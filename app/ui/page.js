// Opening a source brings the marked words into view, and puts the focus where the keys scroll.
document.addEventListener("toggle", (event) => {
  const sheet = event.target;
  if (!(sheet instanceof HTMLElement) || !sheet.matches(".sheet") || event.newState !== "open") return;
  const page = sheet.querySelector(".page");
  page?.querySelector("mark")?.scrollIntoView({ block: "center" });
  page?.focus({ preventScroll: true });
}, true);
