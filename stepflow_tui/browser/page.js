// What textual.js leaves out: the keys go to the screen as soon as it is there, and it can be opened again.
addEventListener("load", () => {
  document.getElementById("again").addEventListener("click", () => location.reload());
  const opened = new MutationObserver(() => {
    if (document.body.classList.contains("-loaded")) {
      opened.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  });
  opened.observe(document.body, { attributes: true, attributeFilter: ["class"] });
});
