#include "produce/pools.h"

#define T(text)                                                                                                        \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}
#define COUNT(name) const uint32_t name##_count = sizeof(name) / sizeof(name[0])

const struct kind pool_kinds[KIND_COUNT] = {
        [KIND_PAGEVIEW] = {T("$pageview"), 330},         [KIND_AUTOCAPTURE] = {T("$autocapture"), 230},
        [KIND_PAGELEAVE] = {T("$pageleave"), 140},       [KIND_FLAG] = {T("$feature_flag_called"), 80},
        [KIND_VITALS] = {T("$web_vitals"), 60},          [KIND_IDENTIFY] = {T("$identify"), 30},
        [KIND_PRODUCT] = {T("product viewed"), 40},      [KIND_CART] = {T("cart updated"), 25},
        [KIND_PURCHASE] = {T("purchase completed"), 12}, [KIND_SEARCH] = {T("search performed"), 28},
        [KIND_VIDEO] = {T("video played"), 15},          [KIND_RAGECLICK] = {T("$rageclick"), 5},
        [KIND_EXCEPTION] = {T("$exception"), 5},
};

const struct device pool_devices[] = {
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36"),
         1512, T("1.298.1")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Chrome\",\"$browser_version\":142"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
           "Safari/537.36"),
         1728, T("1.297.3")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36"),
         2560, T("1.301.0")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Chrome\",\"$browser_version\":141"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
           "Safari/537.36"),
         1440, T("1.275.2")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Chrome\",\"$browser_version\":140"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
           "Safari/537.36"),
         1920, T("1.298.1")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36"),
         1920, T("1.297.3")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":142"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
           "Safari/537.36"),
         1366, T("1.301.0")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36"),
         2560, T("1.275.2")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36"),
         1536, T("1.298.1")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":139"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 "
           "Safari/537.36"),
         1920, T("1.297.3")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Chrome\",\"$browser_version\":141"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
           "Safari/537.36"),
         3840, T("1.301.0")},
        {T("\"$os\":\"Linux\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"),
         1920, T("1.275.2")},
        {T("\"$os\":\"Linux\",\"$browser\":\"Chrome\",\"$browser_version\":142"),
         T("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"),
         2560, T("1.298.1")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Microsoft Edge\",\"$browser_version\":142"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
           "Safari/537.36 Edg/142.0.0.0"),
         1920, T("1.297.3")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Microsoft Edge\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
           "Safari/537.36 Edg/143.0.0.0"),
         1536, T("1.301.0")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Microsoft Edge\",\"$browser_version\":141"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
           "Safari/537.36 Edg/141.0.0.0"),
         1707, T("1.275.2")},
        {T("\"$os\":\"Windows\",\"$browser\":\"Firefox\",\"$browser_version\":145"),
         T("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"), 1920, T("1.298.1")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Firefox\",\"$browser_version\":145"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0"), 1440, T("1.297.3")},
        {T("\"$os\":\"Linux\",\"$browser\":\"Firefox\",\"$browser_version\":140"),
         T("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), 1920, T("1.301.0")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Safari\",\"$browser_version\":18.6"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
           "Safari/605.1.15"),
         1470, T("1.275.2")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Safari\",\"$browser_version\":26.1"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
           "Safari/605.1.15"),
         1728, T("1.298.1")},
        {T("\"$os\":\"Mac OS X\",\"$browser\":\"Safari\",\"$browser_version\":17.6"),
         T("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 "
           "Safari/605.1.15"),
         1440, T("1.297.3")},
        {T("\"$os\":\"iOS\",\"$browser\":\"Mobile Safari\",\"$browser_version\":18.6"),
         T("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
           "Version/18.6 Mobile/15E148 Safari/604.1"),
         390, T("1.301.0")},
        {T("\"$os\":\"iOS\",\"$browser\":\"Mobile Safari\",\"$browser_version\":26.1"),
         T("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
           "Version/26.1 Mobile/15E148 Safari/604.1"),
         393, T("1.275.2")},
        {T("\"$os\":\"iOS\",\"$browser\":\"Mobile Safari\",\"$browser_version\":17.6"),
         T("Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
           "Version/17.6 Mobile/15E148 Safari/604.1"),
         375, T("1.298.1")},
        {T("\"$os\":\"iOS\",\"$browser\":\"Mobile Safari\",\"$browser_version\":18.5"),
         T("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
           "Version/18.5 Mobile/15E148 Safari/604.1"),
         430, T("1.297.3")},
        {T("\"$os\":\"iOS\",\"$browser\":\"Mobile Safari\",\"$browser_version\":16.6"),
         T("Mozilla/5.0 (iPhone; CPU iPhone OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
           "Version/16.6 Mobile/15E148 Safari/604.1"),
         414, T("1.301.0")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile "
           "Safari/537.36"),
         412, T("1.275.2")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":142"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile "
           "Safari/537.36"),
         384, T("1.298.1")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile "
           "Safari/537.36"),
         360, T("1.297.3")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":138"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile "
           "Safari/537.36"),
         393, T("1.301.0")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":143"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"),
         820, T("1.275.2")},
        {T("\"$os\":\"Android\",\"$browser\":\"Chrome\",\"$browser_version\":141"),
         T("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"),
         1280, T("1.298.1")},
};
COUNT(pool_devices);

const struct place pool_places[] = {
        {T("\"$geoip_city_name\":\"Berlin\",\"$geoip_country_code\":\"DE\""), T("de-DE"), {84, 158}},
        {T("\"$geoip_city_name\":\"Munich\",\"$geoip_country_code\":\"DE\""), T("de"), {93, 209}},
        {T("\"$geoip_city_name\":\"London\",\"$geoip_country_code\":\"GB\""), T("en-GB"), {81, 2}},
        {T("\"$geoip_city_name\":\"Manchester\",\"$geoip_country_code\":\"GB\""), T("en-GB"), {86, 13}},
        {T("\"$geoip_city_name\":\"Paris\",\"$geoip_country_code\":\"FR\""), T("fr-FR"), {90, 63}},
        {T("\"$geoip_city_name\":\"Lyon\",\"$geoip_country_code\":\"FR\""), T("fr"), {78, 192}},
        {T("\"$geoip_city_name\":\"Madrid\",\"$geoip_country_code\":\"ES\""), T("es-ES"), {83, 45}},
        {T("\"$geoip_city_name\":\"Amsterdam\",\"$geoip_country_code\":\"NL\""), T("nl-NL"), {77, 160}},
        {T("\"$geoip_city_name\":\"Warsaw\",\"$geoip_country_code\":\"PL\""), T("pl-PL"), {89, 64}},
        {T("\"$geoip_city_name\":\"Stockholm\",\"$geoip_country_code\":\"SE\""), T("sv-SE"), {85, 226}},
        {T("\"$geoip_city_name\":\"Zürich\",\"$geoip_country_code\":\"CH\""), T("de-CH"), {178, 197}},
        {T("\"$geoip_city_name\":\"Vienna\",\"$geoip_country_code\":\"AT\""), T("de-AT"), {80, 108}},
        {T("\"$geoip_city_name\":\"New York\",\"$geoip_country_code\":\"US\""), T("en-US"), {72, 229}},
        {T("\"$geoip_city_name\":\"Chicago\",\"$geoip_country_code\":\"US\""), T("en-US"), {98, 213}},
        {T("\"$geoip_city_name\":\"San Francisco\",\"$geoip_country_code\":\"US\""), T("en-US"), {73, 15}},
        {T("\"$geoip_city_name\":\"Seattle\",\"$geoip_country_code\":\"US\""), T("en-US"), {67, 160}},
        {T("\"$geoip_city_name\":\"Austin\",\"$geoip_country_code\":\"US\""), T("en-US"), {70, 112}},
        {T("\"$geoip_city_name\":\"Denver\",\"$geoip_country_code\":\"US\""), T("en-US"), {174, 51}},
        {T("\"$geoip_city_name\":\"Toronto\",\"$geoip_country_code\":\"CA\""), T("en-CA"), {99, 230}},
        {T("\"$geoip_city_name\":\"Montréal\",\"$geoip_country_code\":\"CA\""), T("fr-CA"), {24, 48}},
        {T("\"$geoip_city_name\":\"São Paulo\",\"$geoip_country_code\":\"BR\""), T("pt-BR"), {177, 94}},
        {T("\"$geoip_city_name\":\"Ciudad de México\",\"$geoip_country_code\":\"MX\""), T("es-MX"), {189, 203}},
        {T("\"$geoip_city_name\":\"Bengaluru\",\"$geoip_country_code\":\"IN\""), T("en-IN"), {49, 207}},
        {T("\"$geoip_city_name\":\"Mumbai\",\"$geoip_country_code\":\"IN\""), T("hi-IN"), {103, 87}},
        {T("\"$geoip_city_name\":\"Singapore\",\"$geoip_country_code\":\"SG\""), T("en-SG"), {118, 189}},
        {T("\"$geoip_city_name\":\"Tokyo\",\"$geoip_country_code\":\"JP\""), T("ja-JP"), {126, 78}},
        {T("\"$geoip_city_name\":\"Osaka\",\"$geoip_country_code\":\"JP\""), T("ja"), {153, 242}},
        {T("\"$geoip_city_name\":\"Seoul\",\"$geoip_country_code\":\"KR\""), T("ko-KR"), {211, 36}},
        {T("\"$geoip_city_name\":\"Sydney\",\"$geoip_country_code\":\"AU\""), T("en-AU"), {110, 174}},
        {T("\"$geoip_city_name\":\"Melbourne\",\"$geoip_country_code\":\"AU\""), T("en-AU"), {121, 200}},
        {T("\"$geoip_city_name\":\"Lagos\",\"$geoip_country_code\":\"NG\""), T("en-NG"), {102, 89}},
        {T("\"$geoip_city_name\":\"Cape Town\",\"$geoip_country_code\":\"ZA\""), T("en-ZA"), {105, 224}},
};
COUNT(pool_places);

/* The first ones are met most. */
const struct site pool_sites[] = {
        {2, 2, T("app.northwind.example")},
        {2, 2, T("www.northwind.example")},
        {7, 7, T("shop.contoso.example")},
        {7, 7, T("shop.contoso.example")},
        {11, 11, T("tailspin.example")},
        {14, 14, T("app.fabrikam.example")},
        {19, 14, T("docs.fabrikam.example")},
        {23, 23, T("adventure-works.example")},
        {31, 31, T("learn.lucerne.example")},
        {38, 38, T("woodgrove.example")},
        {42, 42, T("dashboard.proseware.example")},
        {57, 57, T("play.relecloud.example")},
};
COUNT(pool_sites);

const struct text pool_paths[] = {
        T("/"),
        T("/pricing"),
        T("/login"),
        T("/signup"),
        T("/dashboard"),
        T("/dashboard/reports"),
        T("/dashboard/settings"),
        T("/dashboard/members"),
        T("/products"),
        T("/products/boots"),
        T("/products/tents"),
        T("/products/lamps"),
        T("/cart"),
        T("/checkout"),
        T("/checkout/done"),
        T("/blog"),
        T("/blog/exactly-once"),
        T("/blog/small-lakes"),
        T("/docs"),
        T("/docs/quickstart"),
        T("/docs/api/events"),
        T("/docs/api/people"),
        T("/support"),
        T("/support/tickets"),
        T("/account/billing"),
        T("/account/profile"),
        T("/search"),
        T("/courses"),
        T("/courses/sql-for-everyone"),
        T("/videos/intro"),
        T("/changelog"),
        T("/about"),
};
COUNT(pool_paths);

const struct text pool_queries[] = {
        T(""),
        T(""),
        T(""),
        T(""),
        T(""),
        T("?tab=overview"),
        T("?tab=activity&range=7d"),
        T("?page=2"),
        T("?sort=price_asc&size=42"),
        T("?ref=nav"),
        T("?filter=%7B%22status%22%3A%22open%22%7D"),
        T("?view=compact#top"),
};
COUNT(pool_queries);

const struct text pool_referrers[] = {
        T("\"$referrer\":\"$direct\""),
        T("\"$referrer\":\"$direct\""),
        T("\"$referrer\":\"https://www.google.com/\""),
        T("\"$referrer\":\"https://www.google.com/\""),
        T("\"$referrer\":\"https://www.bing.com/\""),
        T("\"$referrer\":\"https://duckduckgo.com/\""),
        T("\"$referrer\":\"https://news.ycombinator.com/\""),
        T("\"$referrer\":\"https://www.linkedin.com/\""),
        T("\"$referrer\":\"https://github.com/\""),
        T("\"$referrer\":\"https://chatgpt.com/\""),
};
COUNT(pool_referrers);

const struct text pool_utm[] = {
        T(""),
        T(""),
        T(""),
        T(""),
        T(""),
        T("\"utm_source\":\"newsletter\",\"utm_medium\":\"email\",\"utm_campaign\":\"2026-01-welcome\","),
        T("\"utm_source\":\"google\",\"utm_medium\":\"cpc\",\"utm_campaign\":\"brand-eu\",\"utm_term\":\"hiking "
          "boots\",\"gclid\":\"EAIaIQobChMI\","),
        T("\"utm_source\":\"linkedin\",\"utm_medium\":\"social\","),
};
COUNT(pool_utm);

const struct text pool_flags[] = {
        T("new-checkout"),   T("beta-search"),  T("onboarding-v3"), T("dark-mode"),      T("pricing-test-2026"),
        T("session-replay"), T("ai-assistant"), T("faster-tables"), T("holiday-banner"), T("invite-flow"),
};
COUNT(pool_flags);

const struct text pool_titles[] = {
        T("Dashboard"),
        T("Pricing \\u2013 simple plans"),
        T("Sign in"),
        T("Your cart (3)"),
        T("Docs: Quickstart"),
        T("Reports | Northwind"),
        T("Welcome back!"),
        T("Search results"),
        T("Trail boots \\\"Alpin\\\""),
        T("Übersicht"),
        T("Checkout"),
        T("Changelog 2026"),
};
COUNT(pool_titles);

const struct text pool_leaves[] = {
        T("button.btn.btn-primary:attr__class=\"btn "
          "btn-primary\"attr__type=\"submit\"nth-child=\"2\"nth-of-type=\"1\"text=\"Continue\""),
        T("a.nav-link:attr__class=\"nav-link\"attr__href=\"/pricing\"href=\"/"
          "pricing\"nth-child=\"3\"nth-of-type=\"3\"text=\"Pricing\""),
        T("button.icon-button:attr__aria-label=\"Close\"attr__class=\"icon-button\"nth-child=\"1\"nth-of-type=\"1\""),
        T("a.card-link:attr__class=\"card-link\"attr__href=\"/products/boots\"href=\"/products/"
          "boots\"nth-child=\"1\"nth-of-type=\"1\"text=\"Trail boots\""),
        T("input.form-control:attr__class=\"form-control\"attr__name=\"email\"attr__type=\"email\"nth-child=\"2\"nth-"
          "of-type=\"1\""),
        T("button.add-to-cart:attr__class=\"add-to-cart\"attr__data-attr=\"add-to-cart\"nth-child=\"4\"nth-of-type="
          "\"2\"text=\"Add to cart\""),
        T("span.menu-label:attr__class=\"menu-label\"nth-child=\"2\"nth-of-type=\"1\"text=\"Settings\""),
        T("a:attr__href=\"/docs/quickstart\"href=\"/docs/"
          "quickstart\"nth-child=\"2\"nth-of-type=\"2\"text=\"Quickstart\""),
};
COUNT(pool_leaves);

const struct text pool_containers[] = {
        T("form.login-form:attr__class=\"login-form\"nth-child=\"1\"nth-of-type=\"1\""),
        T("li.nav-item:attr__class=\"nav-item\"nth-child=\"3\"nth-of-type=\"3\";ul.nav:attr__class=\"nav\"nth-child="
          "\"1\"nth-of-type=\"1\""),
        T("div.modal-footer:attr__class=\"modal-footer\"nth-child=\"3\"nth-of-type=\"3\";div.modal:attr__class="
          "\"modal\"attr__role=\"dialog\"nth-child=\"9\"nth-of-type=\"7\""),
        T("div.card-body:attr__class=\"card-body\"nth-child=\"2\"nth-of-type=\"2\";div.card:attr__class=\"card\"nth-"
          "child=\"5\"nth-of-type=\"5\""),
        T("div.grid:attr__class=\"grid\"nth-child=\"2\"nth-of-type=\"1\";section#content:attr__id=\"content\"attr_id="
          "\"content\"nth-child=\"1\"nth-of-type=\"1\""),
        T("td.cell:attr__class=\"cell\"nth-child=\"4\"nth-of-type=\"4\";tr:nth-child=\"12\"nth-of-type=\"12\";tbody:"
          "nth-child=\"2\"nth-of-type=\"1\";table.table:attr__class=\"table\"nth-child=\"1\"nth-of-type=\"1\""),
};
COUNT(pool_containers);

const struct text pool_products[] = {
        T("\"product_id\":\"BOOT-ALP-42\",\"product_name\":\"Trail boots\",\"category\":\"shoes\""),
        T("\"product_id\":\"TENT-2P-GRN\",\"product_name\":\"Two-person tent\",\"category\":\"camping\""),
        T("\"product_id\":\"LAMP-USB-01\",\"product_name\":\"Head lamp\",\"category\":\"camping\""),
        T("\"product_id\":\"PACK-45L-BLK\",\"product_name\":\"Rucksack 45 l\",\"category\":\"bags\""),
        T("\"product_id\":\"SOCK-WOOL-3\",\"product_name\":\"Wool socks (3 pairs)\",\"category\":\"clothes\""),
        T("\"product_id\":\"MAP-ALPS-25K\",\"product_name\":\"Map \\\"Alps\\\" 1:25 000\",\"category\":\"maps\""),
        T("\"product_id\":\"STOVE-GAS-1\",\"product_name\":\"Gas stove\",\"category\":\"camping\""),
        T("\"product_id\":\"CAFE-250G\",\"product_name\":\"Café en grains 250 g\",\"category\":\"food\""),
};
COUNT(pool_products);

const struct text pool_words[] = {
        T("boots"), T("tent"),  T("lamp"),    T("waterproof"), T("light"),   T("sale"),    T("wool"),   T("map"),
        T("alps"),  T("stove"), T("invoice"), T("export"),     T("api key"), T("webhook"), T("cancel"), T("größe"),
};
COUNT(pool_words);

const struct text pool_names[] = {
        T("Anna"),  T("Ben"),  T("Chloé"), T("Diego"),  T("Emre"),  T("Fatima"), T("Grace"), T("Hiro"),  T("Ines"),
        T("Jonas"), T("Kim"),  T("Lena"),  T("Mateo"),  T("Nadia"), T("Olu"),    T("Priya"), T("Quinn"), T("Rosa"),
        T("Sven"),  T("Tara"), T("Uma"),   T("Viktor"), T("Wen"),   T("Yara"),   T("Zoë"),
};
COUNT(pool_names);

const struct text pool_domains[] = {
        T("gmail.com"),         T("outlook.com"),     T("icloud.com"),     T("example.org"),
        T("northwind.example"), T("contoso.example"), T("posteo.example"), T("uni.example"),
};
COUNT(pool_domains);

const struct text pool_errors[] = {
        T("\"$exception_types\":[\"TypeError\"],\"$exception_values\":[\"Cannot read properties of undefined (reading "
          "'map')\"],\"$exception_level\":\"error\""),
        T("\"$exception_types\":[\"ChunkLoadError\"],\"$exception_values\":[\"Loading chunk 417 failed.\\n(timeout: "
          "https://static.example/417.js)\"],\"$exception_level\":\"error\""),
        T("\"$exception_types\":[\"NetworkError\"],\"$exception_values\":[\"Failed to fetch "
          "\\\"/api/cart\\\"\"],\"$exception_level\":\"warning\""),
};
COUNT(pool_errors);
