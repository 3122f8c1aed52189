// The built-in file tools: fs.list, fs.read, fs.search (effect: read) and fs.append (effect: write), beneath one root.
//
// Invariants:
//  1. Paths are opened beneath the root by the kernel (openat2 with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, no
//  symbolic
//     links out), regular files only and never blocking: a FIFO, a device, a link out of the root is refused in words.
//  2. Bytes read, entries listed, files and time searched are bounded by name; what was cut says so in its result.
//  3. weft's own files and what `kHiddenNames` names are out of reach under any name, case, link or hard link, and are
//  not
//     even opened (tools/fence.h).
//  4. Results are deterministic for the same tree: sorted by name, bytes of the C locale.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "tools/fence.h"
#include "tools/tool.h"

namespace weft::tools {

struct FileLimits {
  std::size_t read_bytes_max = 256 << 10;  // Of one fs.read; more is truncated and says so.
  std::size_t list_entries_max = 2'000;
  std::size_t search_matches_max = 200;
  std::size_t search_files_max = 20'000;
  std::size_t search_file_bytes_max = 1 << 20;  // Larger files are skipped and counted.
  std::size_t append_bytes_max = 64 << 10;
  // One call; what did not fit in is truncated and says so, and the thread is free.
  Duration time_max{1'500'000};
};

// Adds the four tools to `toolbox`; they leave `closed` alone. Errors: NOT_FOUND, FAILED_PRECONDITION where `root` is
// no folder that can be opened, UNIMPLEMENTED where the kernel has no openat2.
Status add_file_tools(Toolbox& toolbox, const std::string& root, const FileLimits& limits = {},
                      ClosedPaths closed = {});
// The specs alone, for checking workflows where no root is known.
std::vector<ToolSpec> file_tool_specs();

}  // namespace weft::tools
