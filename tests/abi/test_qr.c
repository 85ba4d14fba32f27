/* QR codes, section 13. What a scanner makes of them is tested below the ABI; here: forms, buffers, limits. */
#include "support.h"

static char* encoded(const char* text, size_t text_len, smartvpn_qr_form form, size_t* size) {
  char* out;
  assert_int_equal(smartvpn_qr_encode(text, text_len, form, NULL, 0, size, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  out = malloc(*size + 1);
  assert_non_null(out);
  out[*size] = 'e';
  assert_ok(smartvpn_qr_encode(text, text_len, form, out, *size, size, &err));
  assert_int_equal(out[*size], 'e');
  return out;
}

static void every_form_says_what_it_needs_and_fills_it(void** state) {
  size_t size = 0, again = 0;
  char* text;
  (void)state;
  if (smartvpn_has("qr") == 0) return; /* the other test says what happens then */
  text = encoded("vpn", SMARTVPN_NUL_TERMINATED, SMARTVPN_QR_MATRIX, &size);
  assert_int_equal(size, 21 * 22 + 1);
  assert_int_equal(strlen(text), 21 * 22);
  assert_memory_equal(text, "1111111", 7);
  free(text);
  text = encoded("vpn", 3, SMARTVPN_QR_TEXT, &size);
  assert_int_equal(strlen(text), size - 1);
  assert_memory_equal(text, "\xe2\x96\x88", 3);
  free(text);
  text = encoded("vpn", 3, SMARTVPN_QR_SVG, &size);
  assert_int_equal(strlen(text), size - 1);
  assert_non_null(strstr(text, "<svg "));
  free(text);
  text = encoded("vpn", 3, SMARTVPN_QR_PNG, &size);
  assert_memory_equal(text, "\x89PNG\r\n\x1a\n", 8);
  assert_memory_equal(text + size - 8, "IEND\xae\x42\x60\x82", 8);
  assert_int_equal(smartvpn_qr_encode("vpn", 3, SMARTVPN_QR_PNG, text, size - 1, &again, NULL),
                   SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(again, size);
  assert_memory_equal(text, "\x89PNG\r\n\x1a\n", 8);
  free(text);
}

static void what_cannot_be_encoded_is_said(void** state) {
  static char text[2954], buf[64];
  size_t size = 0;
  smartvpn_error* err = NULL;
  (void)state;
  if (smartvpn_has("qr") == 0) {
    assert_int_equal(smartvpn_qr_encode("vpn", 3, SMARTVPN_QR_TEXT, NULL, 0, NULL, NULL), SMARTVPN_UNSUPPORTED);
    return;
  }
  memset(text, 'x', sizeof text);
  free(encoded(text, 2953, SMARTVPN_QR_PNG, &size));
  assert_int_equal(smartvpn_qr_encode(text, 2954, SMARTVPN_QR_PNG, buf, sizeof buf, &size, &err), SMARTVPN_LIMIT);
  assert_non_null(strstr(smartvpn_error_text(err), "2953"));
  assert_int_equal(smartvpn_error_free(err), SMARTVPN_OK);
  assert_int_equal(smartvpn_qr_encode("", 0, SMARTVPN_QR_TEXT, buf, sizeof buf, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_qr_encode(NULL, 0, SMARTVPN_QR_TEXT, buf, sizeof buf, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_qr_encode("vpn", 3, 4, buf, sizeof buf, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_qr_encode("vpn", 3, -1, buf, sizeof buf, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_qr_encode("vpn", 3, SMARTVPN_QR_TEXT, NULL, sizeof buf, NULL, NULL), SMARTVPN_INVALID);
}

int main(void) {
  const struct CMUnitTest qr[] = {
      cmocka_unit_test(every_form_says_what_it_needs_and_fills_it),
      cmocka_unit_test(what_cannot_be_encoded_is_said),
  };
  return cmocka_run_group_tests(qr, NULL, NULL);
}
