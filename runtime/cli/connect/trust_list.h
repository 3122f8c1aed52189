// What this user has made or trusts: stores whose runs may go on in his name, and contents of weft.yaml that may hold.
//
// Two files of his own, `stores` and `configurations`, in $XDG_STATE_HOME/weft, else ~/.local/state/weft: a line of
// JSON an entry. A line that cannot be read is passed over and goes with the next change.
//
// Invariants:
//  1. The folder is its owner's alone (0700), as the files are (0600); one that is another user's, or that others may
//     write, is not read.
//  2. A change takes the place of the file in one step, under a lock, so that two programs at once lose nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/journal/identity.h"
#include "runtime/engine/config.h"

namespace weft::cli {

struct TrustedStore {
  memory::StoreIdentity identity;
  std::string since;  // RFC 3339.
};
// A weft.yaml as it was: another content, or the same at another place, is another.
struct TrustedConfig {
  std::string path;    // Absolute, links resolved.
  std::string sha256;  // Hex.
  std::string since;
};

class TrustList {
 public:
  static constexpr std::size_t kEntriesMax = 10'000;  // In each file; over it those go whose file is gone.
  static constexpr std::size_t kFileBytesMax = std::size_t{8} << 20;  // A larger file is refused.

  // FAILED_PRECONDITION where neither XDG_STATE_HOME nor HOME names an absolute folder; PERMISSION_DENIED by 1.
  static Result<TrustList> open(const engine::Getenv& environment);

  const std::vector<TrustedStore>& stores() const { return stores_; }
  const std::vector<TrustedConfig>& configurations() const { return configurations_; }
  // The same file as when it was put on the list. It may have been moved within its disk; a copy, and a file that was
  // put in its place, are others.
  bool has(const memory::StoreIdentity& store) const;
  // Where a store with the same id was when it was put on the list; empty: there is none.
  std::string copied_from(const memory::StoreIdentity& store) const;
  bool has(const std::string& path, const std::string& sha256) const;

  Status prepare() const;  // Makes the folder: whether something can be put on the list.
  Status add(const memory::StoreIdentity& store);
  Status add(const std::string& path, const std::string& sha256);
  // What stands on the list for this path, or beneath it: how many entries went.
  Result<std::size_t> remove(const std::string& path);

 private:
  explicit TrustList(std::string folder) : folder_(std::move(folder)) {}
  Status read();
  template <class Change>
  Status update(const Change& change);

  std::string folder_;
  std::vector<TrustedStore> stores_;
  std::vector<TrustedConfig> configurations_;
};

}  // namespace weft::cli
