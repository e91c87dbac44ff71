// Buttons with data-act become events of this component: 'pick', 'filter', 'more', 'retry', 'remove'.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { act, ...data } = button.dataset;
  if (act === "delete") {
    if (await sure(data.name)) trigger("remove", data);
  } else {
    if (act === "pick") document.getElementById("question")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    trigger(act, data);
  }
});

// Deleting asks first.
function sure(name) {
  const dialog = document.createElement("dialog");
  dialog.className = "sure";
  dialog.innerHTML = '<form method="dialog"><h2>Delete this document?</h2><p></p><p class="quiet">It stops answering at once and is removed everywhere.</p>' +
    '<footer><button value="no" autofocus>Keep</button><button value="yes" class="danger">Delete</button></footer></form>';
  dialog.querySelector("p").textContent = name;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
