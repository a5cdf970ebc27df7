#include <stdio.h>

#include "winnow/capi/winnow.h"

/* Lists the methods; a name that does not exist has to be a status with a text. */
int main(void) {
  winnow_method* method = NULL;
  int32_t i;
  for (i = 0; i < winnow_method_count(); ++i) printf("%s\n", winnow_method_name(i));
  if (winnow_version_number() != WINNOW_VERSION_NUMBER) return 1;
  if (winnow_method_new("no such method", &method) != WINNOW_NOT_FOUND) return 1;
  printf("%s\n", winnow_last_error());
  return winnow_method_count() > 0 && method == NULL ? 0 : 1;
}
