// Whose a file is, and who else could put another one in its place.
//
// What weft does by a store or a configuration it does in its user's name, with that user's keys. So such a file must
// be the user's own, as git asks it of a repository (safe.directory): a folder above the current one may be anybody's.
//
// The rule, for a file and for the folder that holds it:
//  1. It belongs to the user of this process or to root. For root that means: to root.
//  2. Nobody else may write it. A folder that others may write counts as theirs, unless its sticky bit keeps them from
//     replacing what is not theirs. The write bits of a group do not count where the group is the user's own.
//  3. Where the name is a symbolic link, the link, the folder that holds it, the file that it leads to and the folder
//  of
//     that file are all looked at.
// Folders further up are not: who may rename one of them can only put something of their own in its place, and that is
// refused by 1.
#pragma once

#include <string>

#include "base/result.h"

namespace weft {

// PERMISSION_DENIED, in a sentence that names the file or folder, whose it is and the way out; NOT_FOUND where there is
// no file. Opens nothing for reading, so it waits for no FIFO and drops no lock of this process.
Status require_own_file(const std::string& path);
// The same of a file that is open already; `path` is the name by which it was opened.
Status require_own_descriptor(int descriptor, const std::string& path);
// The same of a folder alone.
Status require_own_folder(const std::string& folder);
// A file that another one brings with it, such as a database's journal: it may be absent and must be no link.
Status require_own_companion(const std::string& path);

}  // namespace weft
