"""The page into which a report is put: one template, styled for light and dark rooms' projectors and for print."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><link rel="icon" href="data:,">
<style>
:root { --ink: #16243a; --muted: #5c6b80; --line: #dde3ea; --paper: #ffffff; --deep: #071a3d; --sand: #fdf3dc; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font: 17px Inter, "Source Sans 3", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
header { background: linear-gradient(120deg, #071a3d, #0a416c 55%, #1b8185); color: #fff; padding: 2.2rem max(1.5rem,
8vw); }
header h1 { margin: 0; font-size: 2.1rem; font-weight: 650; letter-spacing: -0.01em; }
header p { margin: .4rem 0 0; color: #d5e3ea; }
nav { padding: .8rem max(1.5rem, 8vw); border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap:
.3rem 1.6rem; }
a { color: #0a5173; } nav a { text-decoration: none; font-weight: 550; }
a:hover, a:focus-visible { text-decoration: underline; }
main { padding: 0 max(1.5rem, 8vw) 4rem; max-width: 1500px; margin: auto; }
section { padding-top: 1.8rem; } h2 { font-size: 1.5rem; margin: 0 0 .6rem; font-weight: 640; }
.words { max-width: 46rem; } .words p { margin: .5rem 0; }
figure { margin: 1.4rem 0; border: 1px solid var(--line); border-radius: 12px; padding: .4rem; overflow: hidden; }
figure.fixed { display: flex; justify-content: center; }
img.graph { max-width: 100%; height: auto; }
details { margin-top: .6rem; color: var(--muted); } summary { cursor: pointer; }
table { border-collapse: collapse; font-size: .86rem; margin-top: .6rem; width: 100%; table-layout: fixed; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top;
overflow-wrap: anywhere; }
th { font-weight: 550; width: 15rem; color: var(--ink); }
footer { border-top: 1px solid var(--line); color: var(--muted); padding: 1.2rem max(1.5rem, 8vw); font-size: .9rem; }
@media print { figure { break-inside: avoid; } nav { display: none; } }
</style>
<script>$plotly</script></head>
<body><header><h1>$title</h1><p>A report by thalweg, $date</p></header>
<nav aria-label="Contents">$contents</nav><main>$sections</main>
<footer>Drag to turn, scroll to zoom, hover for values. Coordinates, units, settings and seeds stand under each
picture.</footer>
</body></html>
""")
