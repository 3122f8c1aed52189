#include "runtime/model/dialect.h"

#include "runtime/model/openai.h"

namespace weft::model {

const Dialect* find_dialect(std::string_view kind) {
  const Dialect& openai = openai_dialect();
  return kind == openai.name() ? &openai : nullptr;
}

}  // namespace weft::model
