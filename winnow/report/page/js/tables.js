// Tables: scroll inside their box, sort by their heads.

/** What a cell sorts by: a number where there is one, else its text. */
function sortValue(cell) {
  const given = cell.dataset.sort;
  if (given !== undefined) return Number(given);
  return cell.textContent;
}

function sortBy(table, column, head) {
  const descending = head.getAttribute("aria-sort") === "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "ascending" : "descending");
  const sign = descending ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const x = sortValue(a.cells[column]), y = sortValue(b.cells[column]);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
  for (const row of rows) row.classList.remove("group");
  table.tBodies[0].append(...rows);
}

/**
 * columns: {head, left, text, plain}: plain in one of them: the table does not sort. rows: lists of cells, each a text, a node, or {show, sort}; a row may have
 * `group` set, for a stronger line above it.
 */
function table(caption, columns, rows) {
  const node = el("table", {}, el("caption", {}, caption));
  const sortable = rows.length > 2 && !columns.some((column) => column.plain);
  const heads = columns.map((column, i) => {
    const style = (column.left || column.text ? "left" : "") + (i === 0 ? " stay" : "");
    const head = el("th", {scope: "col", class: style});
    if (!sortable || column.text) {
      head.append(column.head);
    } else {
      const button = el("button", {type: "button"}, column.head);
      button.addEventListener("click", () => sortBy(node, i, head));
      head.append(button);
    }
    return head;
  });
  node.append(el("thead", {}, el("tr", {}, heads)));
  const body = el("tbody", {});
  for (const row of rows) {
    const cells = row.map((cell, i) => {
      const column = columns[i];
      const style = (column.text ? "text" : column.left ? "left" : "") + (i === 0 ? " stay" : "");
      const isPlain = cell === null || typeof cell !== "object" || cell instanceof Node;
      const attributes = {class: style, "data-sort": isPlain ? null : cell.sort};
      if (i === 0) attributes.scope = "row";
      return el(i === 0 ? "th" : "td", attributes, isPlain ? cell : cell.show);
    });
    body.append(el("tr", {class: row.group ? "group" : null}, cells));
  }
  node.append(body);
  return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption}, node);
}

/** Marks the first row of every group of neighbours, if a group has two. */
function withGroups(rows, names) {
  if (names.some((name, i) => i > 0 && name === names[i - 1]))
    rows.forEach((row, i) => { row.group = i > 0 && names[i] !== names[i - 1]; });
  return rows;
}

const sorted = (show, sort) => ({show, sort: sort === null || sort === undefined ? -Infinity : sort});
