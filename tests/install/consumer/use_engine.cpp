#include <cstdio>

#include "winnow/base/error.h"
#include "winnow/engine/image.h"

// Links the engine with everything behind it; a file that is not there has to be an error, not an abort.
int main() {
  try {
    winnow::engine::load_image("/nowhere/image.png");
  } catch (const winnow::Error& error) {
    std::printf("%s\n", error.what());
    return 0;
  }
  return 1;
}
