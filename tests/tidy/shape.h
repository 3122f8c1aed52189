// The shape of formatted sources: how long functions are, and how many methods and fields a class has. It goes by the
// indentation that clang-format writes, so it needs no compiler.
#pragma once

#include <string>
#include <vector>

namespace weft::tidy {

struct Function {
  std::string name;
  std::size_t line = 0;   // From 1.
  std::size_t lines = 0;  // With its head and its closing brace.
};

// Deleted and defaulted methods, constants and nested types are not counted.
struct Class {
  std::string name;
  std::size_t line = 0;
  std::size_t methods = 0;
  std::size_t fields = 0;
};

std::vector<Function> functions_of(const std::vector<std::string>& lines);
std::vector<Class> classes_of(const std::vector<std::string>& lines);

}  // namespace weft::tidy
