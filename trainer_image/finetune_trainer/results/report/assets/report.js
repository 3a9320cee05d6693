// Draws the figures of the page in its colours, and keeps the curves on the same steps when one of them is zoomed.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;
  const charts = Object.keys(figures).map((name) => document.getElementById(name));
  const curves = charts.filter((chart) => chart.closest(".curves"));

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const colors = () => ({
    "font.color": color("quiet"),
    "modebar.color": color("quiet"),
    "modebar.activecolor": color("text"),
    "xaxis.gridcolor": color("line"),
    "xaxis.zerolinecolor": color("line"),
    "yaxis.gridcolor": color("line"),
    "yaxis.zerolinecolor": color("line"),
    "hoverlabel.bgcolor": color("panel"),
    "hoverlabel.bordercolor": color("line"),
    "hoverlabel.font.color": color("text"),
  });

  const layout = (own) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    // A finger scrolls the page; the buttons above a figure give it back its zoom.
    dragmode: touch ? false : "zoom",
    margin: { l: 54, r: 14, t: 30, b: 44 },
    showlegend: false,
    ...own,
    font: { family: "system-ui, sans-serif", size: 12 },
    modebar: { orientation: "h", bgcolor: "rgba(0,0,0,0)" },
  });

  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? true : "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };

  // After a tap browsers play a click of a mouse as well; plotly.js would take the two for a double click.
  const tapOnce = (chart) =>
    chart.addEventListener("touchend", (event) => event.cancelable && event.target.closest(".draglayer") && event.preventDefault());

  let following = false;
  const follow = async (leader, change) => {
    const range = leader.layout.xaxis.range;
    const zoomed = "xaxis.range[0]" in change || "xaxis.range" in change;
    if (following || !(zoomed || change["xaxis.autorange"])) return;
    following = true;
    const same = zoomed ? { "xaxis.range": [...range] } : { "xaxis.autorange": true };
    await Promise.all(curves.filter((chart) => chart !== leader).map((chart) => Plotly.relayout(chart, { ...same })));
    following = false;
  };

  const draw = async () => {
    await Promise.all(charts.map((chart) => Plotly.newPlot(chart, figures[chart.id].data, layout(figures[chart.id].layout), config)));
    const paint = () => charts.forEach((chart) => Plotly.relayout(chart, colors()));
    paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    charts.forEach(tapOnce);
    curves.forEach((chart) => chart.on("plotly_relayout", (change) => follow(chart, change)));
  };
  draw();
})();
