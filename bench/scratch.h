// Folders, files and the disk beneath a measurement.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace weft::bench {

// A folder of this process alone beneath `parent`, removed with all that is in it when this object goes.
class Scratch {
 public:
  static Result<Scratch> make(const std::filesystem::path& parent);
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

 private:
  explicit Scratch(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;  // Empty: moved away.
};

double file_bytes(const std::string& path);  // 0 where there is none.
// How many times a second 4 KiB within a file can be overwritten and synced, one after the other: what one durable
// commit costs at least.
double syncs_per_second(const std::string& path);

}  // namespace weft::bench
