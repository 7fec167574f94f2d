// For keyboards and screen readers, in addition to the theme: names, and parts that scroll get the focus.
document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search");
const improve = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => nav.setAttribute("aria-label", `Code ${index + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre, .md-typeset pre > code").forEach((part) => {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  });
};
window.addEventListener("load", () => setTimeout(improve, 500));
