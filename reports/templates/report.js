"use strict";
(function () {
  var root = document.documentElement;
  var button = document.getElementById("theme");
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }
  function label() {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", "Switch to " + (dark() ? "light" : "dark") + " colours");
  }
  button.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;

  function key(row, column) {
    var cell = row.cells[column];
    var text = cell.title || cell.textContent;
    return { text: text, number: text === "-" || text === "" ? NaN : Number(text) };
  }
  function compare(a, b) {
    if (!isNaN(a.number) && !isNaN(b.number)) { return a.number - b.number; }
    if (!isNaN(a.number)) { return -1; }
    if (!isNaN(b.number)) { return 1; }
    return a.text.localeCompare(b.text, "en", { numeric: true });
  }
  function sort(table, column, head) {
    var down = head.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("thead th").forEach(function (th) { th.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    var body = table.tBodies[0];
    var rows = Array.from(body.rows).map(function (row) { return { row: row, key: key(row, column) }; });
    rows.sort(function (a, b) { return down ? compare(b.key, a.key) : compare(a.key, b.key); });
    rows.forEach(function (entry) { body.appendChild(entry.row); });
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if (head.tagName !== "TH") { return; }
      var press = document.createElement("button");
      press.type = "button";
      press.textContent = head.textContent;
      press.addEventListener("click", function () { sort(table, column, head); });
      head.textContent = "";
      head.appendChild(press);
    });
  });
})();
