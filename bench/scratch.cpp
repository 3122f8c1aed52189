#include "bench/scratch.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace weft::bench {

namespace fs = std::filesystem;

Result<Scratch> Scratch::make(const fs::path& parent) {
  std::error_code fault;
  fs::create_directories(parent, fault);
  std::string name = (parent / "bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return internal("no folder can be made in " + parent.string());
  return Scratch(name);
}

Scratch::Scratch(Scratch&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}

Scratch::~Scratch() {
  std::error_code fault;
  if (!folder_.empty()) fs::remove_all(folder_, fault);
}

double file_bytes(const std::string& path) {
  std::error_code fault;
  const auto size = fs::file_size(path, fault);
  return fault ? 0 : static_cast<double>(size);
}

double syncs_per_second(const std::string& path) {
  constexpr std::chrono::milliseconds kLasts{300};
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return 0;
  const std::array<char, 4096> page{};
  std::size_t syncs = 0;
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < kLasts) {
    if (::pwrite(file, page.data(), page.size(), 0) < 0 || ::fdatasync(file) != 0) break;
    ++syncs;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  ::close(file);
  ::unlink(path.c_str());
  return static_cast<double>(syncs) / seconds;
}

}  // namespace weft::bench
