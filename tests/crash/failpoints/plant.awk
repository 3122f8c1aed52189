# Plants failpoints (table.txt) in a source of the product:  awk -v source=PATH -f plant.awk table.txt PATH
# Without -v source: the sources that have some, one a line. With -v names=1: a header with all of them.
# A line that is not there exactly once is an error: then the product has moved on, and the failpoint with it must.
function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
BEGIN { if (names) print "// Made by plant.awk." }
FNR == NR {
  if ($0 ~ /^#/ || trim($0) == "") next
  split($0, part, "|")
  name = trim(part[1]); of = trim(part[3]); where = trim(part[4])
  # The line itself may hold the mark that parts the columns.
  line = $0
  for (i = 0; i < 4 && of != "-"; ++i) line = substr(line, index(line, "|") + 1)
  line = trim(line)
  if (names) printf "{\"%s\", \"%s\"},\n", name, trim(part[2])
  else if (source == "" && of != "-" && !listed[of]++) print of
  else if (source != "" && of == source) { if (where == "before") before[line] = before[line] " " name; else after[line] = after[line] " " name; wanted[line] = 1 }
  next
}
function plant(all,   i, count, one) {
  count = split(all, one, " ")
  for (i = 1; i <= count; ++i) printf "weft::crash::pass(\"%s\");\n", one[i]
}
FNR == 1 { print "#include \"tests/crash/failpoints/failpoint.h\"" }
{
  line = trim($0)
  if (line in wanted) ++seen[line]
  if (line in before) plant(before[line])
  print
  if (line in after) plant(after[line])
}
END {
  for (line in wanted) {
    if (seen[line] == 1) continue
    printf "%s: this line is not there exactly once, so no failpoint can be planted at it:\n%s\n", source, line > "/dev/stderr"
    exit 1
  }
}
