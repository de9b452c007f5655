#!/usr/bin/env python3
"""Make the place, organisation, office and holiday files of the Khorasan Razavi pack.

    tools/genpack.py --source DIR --out packs/khorasan-razavi

DIR holds the public source tables; SOURCES.md in the pack names each of them,
with its origin and licence. Written are places.csv, organisations.csv,
offices.csv, holidays.csv and counties.geojson (UTF-8, RFC 4180, LF).

The divisions, populations and holidays are real. The buildings of offices are
not published: offices.csv is synthetic, laid over the real divisions, and says
so in every row. Nothing is random: where a choice has to be made (which
villages have an office, where in a town a building stands), the SHA-256 of the
code decides, so the same sources always give the same bytes.

Standard library only.
"""
import argparse
import csv
import hashlib
import json
import math
import os
import re
from collections import defaultdict

PROVINCE = '09'
MASHHAD = '0916051392'
DEHYARI_COUNT = 2930        # village offices
DIRECT_DEHYARI_COUNT = 750  # of these, joined to a district node without a relay

# --- names -----------------------------------------------------------------

# SCI code of the county -> English name, slug, seat (city of the 1399 divisions)
COUNTIES = {
    '0904': ('Taybad', 'taybad', '0904021357'),
    '0905': ('Torbat-e Heydarieh', 'torbat-heydarieh', '0905061361'),
    '0906': ('Torbat-e Jam', 'torbat-jam', '0906021363'),
    '0907': ('Dargaz', 'dargaz', '0907031365'),
    '0908': ('Sabzevar', 'sabzevar', '0908071367'),
    '0913': ('Quchan', 'quchan', '0913031378'),
    '0914': ('Kashmar', 'kashmar', '0914041381'),
    '0915': ('Gonabad', 'gonabad', '0915021385'),
    '0916': ('Mashhad', 'mashhad', MASHHAD),
    '0917': ('Neyshabur', 'neyshabur', '0917041394'),
    '0918': ('Chenaran', 'chenaran', '0918021386'),
    '0919': ('Khaf', 'khaf', '0919021358'),
    '0920': ('Sarakhs', 'sarakhs', '0920021387'),
    '0922': ('Fariman', 'fariman', '0922021390'),
    '0923': ('Bardaskan', 'bardaskan', '0923021379'),
    '0927': ('Roshtkhar', 'roshtkhar', '0927021359'),
    '0928': ('Kalat', 'kalat', '0928021391'),
    '0929': ('Khalilabad', 'khalilabad', '0929021380'),
    '0930': ('Mahvelat', 'mahvelat', '0930021360'),
    '0931': ('Bajestan', 'bajestan', '0931011382'),
    '0932': ('Torghabeh and Shandiz', 'torghabeh-shandiz', '0932011389'),
    '0933': ('Firuzeh', 'firuzeh', '0933012220'),
    '0934': ('Joghatai', 'joghatai', '0934011596'),
    '0935': ('Zaveh', 'zaveh', '0935012135'),
    '0936': ('Joveyn', 'joveyn', '0936012184'),
    '0937': ('Bakharz', 'bakharz', '0937012134'),
    '0938': ('Khushab', 'khushab', '0938012343'),
    '0939': ('Davarzan', 'davarzan', '0939012244'),
    '0940': ('Salehabad', 'salehabad', '0940011362'),
    '0941': ('Kuhsorkh', 'kuhsorkh', '0941012348'),
    # made after the divisions of 1399: provisional codes, not SCI's
    '0981': ('Zeberkhan', 'zeberkhan', None),
    '0982': ('Sheshtamad', 'sheshtamad', None),
    '0983': ('Golbahar', 'golbahar', None),
    '0984': ('Miyan Jolgeh', 'miyan-jolgeh', None),
}
PROVISIONAL = {'زبرخان': '0981', 'ششتمد': '0982', 'گلبهار': '0983', 'میان جلگه': '0984'}
# The divisions of 1399 still call this county بینالود (Binalud).
COUNTY_RENAMED = {'0932': 'طرقبه شاندیز'}

DISTRICT_EN = {
    'احمدآباد': 'Ahmadabad', 'انابد': 'Anabad', 'باجگیران': 'Bajgiran', 'باشتین': 'Bashtin',
    'بالا ولایت': 'Bala Velayat', 'بایک': 'Bayg', 'بررود': 'Barrud', 'بوژگان': 'Buzhgan',
    'پایین جام': 'Pain Jam', 'جلگه رخ': 'Jolgeh Rokh', 'جلگه زوزن': 'Jolgeh Zuzan',
    'جنت آباد': 'Jannatabad', 'جنگل': 'Jangal', 'چاپشلو': 'Chapeshlu', 'رضویه': 'Razaviyeh',
    'روداب': 'Rudab', 'زاوین': 'Zavin', 'زبرخان': 'Zeberkhan', 'سرولایت': 'Sarvelayat',
    'سلامی': 'Salami', 'سلیمان': 'Soleyman', 'سنگان': 'Sangan', 'شادمهر': 'Shadmehr',
    'شاندیز': 'Shandiz', 'ششتمد': 'Sheshtamad', 'ششطراز': 'Shesh Taraz',
    'شهرآباد': 'Shahrabad', 'طاغنکوه': 'Taghenkuh', 'طرقبه': 'Torghabeh',
    'عطاملک': 'Ata Malek', 'فرح دشت': 'Farah Dasht', 'قلندرآباد': 'Qalandarabad',
    'کاخک': 'Kakhk', 'کدکن': 'Kadkan', 'گلبهار': 'Golbahar', 'لطف آباد': 'Lotfabad',
    'مرزداران': 'Marzdaran', 'مرکزی': 'Central', 'مشکان': 'Meshkan',
    'میان جلگه': 'Miyan Jolgeh', 'میان ولایت': 'Miyan Velayat', 'نصرآباد': 'Nasrabad',
    'نوخندان': 'Now Khandan', 'نوده انقلاب': 'Now Deh-e Enqelab', 'هلالی': 'Helali',
    'یونسی': 'Yunesi',
}

CITY_EN = {
    '0904021357': 'Taybad', '0904022562': 'Kariz', '0904032654': 'Mashhad Rizeh',
    '0905012341': 'Bayg', '0905052243': 'Kadkan', '0905061361': 'Torbat-e Heydarieh',
    '0905072434': 'Robat-e Sang', '0906021363': 'Torbat-e Jam', '0906032342': 'Nasrabad',
    '0906042067': 'Ahmadabad-e Sowlat', '0906042655': 'Nil Shahr', '0906052888': 'Samiabad',
    '0907012202': 'Chapeshlu', '0907021364': 'Lotfabad', '0907031365': 'Dargaz',
    '0907041366': 'Now Khandan', '0908052245': 'Rudab', '0908062344': 'Sheshtamad',
    '0908071367': 'Sabzevar', '0913011376': 'Bajgiran', '0913031378': 'Quchan',
    '0914041381': 'Kashmar', '0915021383': 'Beydokht', '0915021385': 'Gonabad',
    '0915031384': 'Kakhk', '0916012437': 'Malekabad', '0916051392': 'Mashhad',
    '0916052526': 'Mashhad Samen', '0916062436': 'Razaviyeh', '0917021393': 'Darrud',
    '0917022246': 'Qadamgah', '0917022349': 'Kharv', '0917032564': 'Chekneh',
    '0917041394': 'Neyshabur', '0917042041': 'Bar', '0917052438': 'Eshqabad',
    '0918012068': 'Golmakan', '0918012854': 'Golbahar', '0918021386': 'Chenaran',
    '0919012213': 'Sangan', '0919021358': 'Khaf', '0919022565': 'Nashtifan',
    '0919032439': 'Qasemabad', '0919042605': 'Salami', '0920012607': 'Mazdavand',
    '0920021387': 'Sarakhs', '0922012442': 'Qalandarabad', '0922012608': 'Sefid Sang',
    '0922021390': 'Fariman', '0922022566': 'Farhadgerd', '0923012440': 'Anabad',
    '0923021379': 'Bardaskan', '0923032090': 'Shahrabad', '0927012606': 'Jangal',
    '0927021359': 'Roshtkhar', '0928012609': 'Shahr-e Zow', '0928021391': 'Kalat',
    '0929012656': 'Kondor', '0929021380': 'Khalilabad', '0930012069': 'Shadmehr',
    '0930021360': 'Feyzabad', '0931011382': 'Bajestan', '0931022610': 'Yunesi',
    '0932011389': 'Torghabeh', '0932021388': 'Shandiz', '0933012220': 'Firuzeh',
    '0933022066': 'Hemmatabad', '0934011596': 'Joghatai', '0934022901': 'Rivadeh',
    '0935012135': 'Dowlatabad', '0935022950': 'Chakhmaq', '0936012184': 'Neqab',
    '0936022889': 'Hokmabad', '0937012134': 'Bakharz', '0937022970': 'Qaleh Now-e Olya',
    '0938012343': 'Soltanabad', '0938022902': 'Meshkan', '0939012244': 'Davarzan',
    '0940011362': 'Salehabad', '0941012348': 'Rivash',
}
CITY_FA = {  # spelling and spacing only
    '0906042067': 'احمدآباد صولت', '0923032090': 'شهرآباد', '0936022889': 'حکم آباد',
    '0937022970': 'قلعه نو علیا',
}
# Same names in other provinces: these coordinates are hundreds of kilometres off.
WRONG_COORDINATES = {'0906032342', '0917052438', '0935012135', '0940011362'}
# A municipal zone of Mashhad that the divisions list among the cities.
SAMEN = '0916052526'
ZONE_CITY = {'مشهد': (MASHHAD, 'Mashhad'), 'سبزوار': ('0908071367', 'Sabzevar'),
             'نیشابور': ('0917041394', 'Neyshabur')}

RURAL_DISTRICT_EN = {
    'آبروان': 'Abravan', 'آستانه': 'Astaneh', 'ابرده': 'Abardeh', 'اردوغش': 'Ordughesh',
    'ازغند': 'Azghand', 'استای': 'Ostay', 'اسحق آباد': 'Eshaqabad', 'اشتین': 'Eshtin',
    'باشتین': 'Bashtin', 'باغ کشمیر': 'Bagh-e Keshmir', 'بالابند': 'Balaband',
    'بالاجام': 'Bala Jam', 'بالاجوین': 'Bala Joveyn', 'بالاخواف': 'Bala Khaf',
    'بالارخ': 'Bala Rokh', 'بالاولایت': 'Bala Velayat', 'بایک': 'Bayg',
    'بجستان': 'Bajestan', 'بررود': 'Barrud', 'برزنون': 'Barzanun', 'برکوه': 'Barkuh',
    'بستان': 'Bostan', 'بقمج': 'Beqmej', 'بلهرات': 'Belharat', 'بیزکی': 'Bizaki',
    'بینالود': 'Binalud', 'بیهق': 'Beyhaq', 'پایین جوین': 'Pain Joveyn',
    'پایین خواف': 'Pain Khaf', 'پایین رخ': 'Pain Rokh', 'پایین ولایت': 'Pain Velayat',
    'پس کلوت': 'Pas Kalut', 'پساکوه': 'Pasakuh', 'پل خاتون': 'Pol-e Khatun',
    'پیراکوه': 'Pirakuh', 'پیوه ژن': 'Piveh Zhan', 'تبادکان': 'Tabadkan', 'تجن': 'Tajan',
    'تخت جلگه': 'Takht-e Jolgeh', 'تکاب': 'Takab', 'تکاب کوه میش': 'Takab-e Kuh Mish',
    'توس': 'Tus', 'جاغرق': 'Jagharq', 'جامرود': 'Jamrud', 'جزین': 'Jazin',
    'جغتای': 'Joghatai', 'جلگه': 'Jolgeh', 'جلگه موسی آباد': 'Jolgeh-ye Musaabad',
    'جنت آباد': 'Jannatabad', 'جنگل': 'Jangal', 'چناران': 'Chenaran',
    'حکم آباد': 'Hokmabad', 'حومه': 'Howmeh', 'خانگیران': 'Khangiran', 'خواشد': 'Khvashod',
    'دربقاضی': 'Darbqazi', 'درزآب': 'Darzab', 'درونگر': 'Darungar', 'درونه': 'Doruneh',
    'دستوران': 'Dasturan', 'دشت ارزنه': 'Dasht-e Arzaneh', 'دشت تایباد': 'Dasht-e Taybad',
    'دشت جام': 'Dasht-e Jam', 'دوغایی': 'Dughai', 'دولتخانه': 'Dowlatkhaneh',
    'دیباج': 'Dibaj', 'رادکان': 'Radkan', 'رباط': 'Robat', 'رباط جز': 'Robat-e Jaz',
    'ربع شامات': 'Rob-e Shamat', 'رزق آباد': 'Rezqabad', 'رستاق': 'Rostaq',
    'رشتخوار': 'Roshtkhar', 'رقیچه': 'Roqicheh', 'ریوند': 'Rivand', 'زام': 'Zam',
    'زاوه': 'Zaveh', 'زاوین': 'Zavin', 'زبرخان': 'Zeberkhan', 'زرین': 'Zarrin',
    'زنگلانلو': 'Zangelanlu', 'زوزن': 'Zuzan', 'زیبد': 'Zibad', 'ساق': 'Saq',
    'سرجام': 'Sarjam', 'سرخس': 'Sarakhs', 'سردق': 'Sardaq', 'سرولایت': 'Sarvelayat',
    'سفیدسنگ': 'Sefid Sang', 'سلامی': 'Salami', 'سلطان آباد': 'Soltanabad',
    'سلیمان': 'Soleyman', 'سنگ بست': 'Sang Bast', 'سودلانه': 'Sudlaneh',
    'شامکان': 'Shamkan', 'شاندیز': 'Shandiz', 'ششطراز': 'Shesh Taraz', 'شعبه': 'Shabeh',
    'شهرآباد': 'Shahrabad', 'شهرستانه': 'Shahrestaneh', 'شیرین دره': 'Shirin Darreh',
    'صالح آباد': 'Salehabad', 'صحرا': 'Sahra', 'صفاییه': 'Safaiyeh',
    'طاغنکوه جنوبی': 'Taghenkuh-e Jonubi', 'طاغنکوه شمالی': 'Taghenkuh-e Shomali',
    'طبس': 'Tabas', 'طرقبه': 'Torghabeh', 'عشق آباد': 'Eshqabad', 'غزالی': 'Ghazali',
    'فروغن': 'Forughan', 'فریمان': 'Fariman', 'فضل': 'Fazl', 'فیروزه': 'Firuzeh',
    'قره باشلو': 'Qarah Bashlu', 'قصبه شرقی': 'Qasabeh-ye Sharqi',
    'قصبه غربی': 'Qasabeh-ye Gharbi', 'قلعه بالا': 'Qaleh-ye Bala',
    'قلعه حمام': 'Qaleh Hamam', 'قلندرآباد': 'Qalandarabad', 'قوچان عتیق': 'Quchan-e Atiq',
    'کاخک': 'Kakhk', 'کارده': 'Kardeh', 'کاریزان': 'Karizan', 'کاه': 'Kah',
    'کبودگنبد': 'Kabud Gonbad', 'کدکن': 'Kadkan', 'کراب': 'Karrab', 'کرات': 'Karat',
    'کنارشهر': 'Kenarshahr', 'کنویست': 'Kenevist', 'کوه سفید': 'Kuh Sefid',
    'کوه همایی': 'Kuh Homai', 'کوهپایه': 'Kuhpayeh', 'کوهسنگی': 'Kuhsangi',
    'کویر': 'Kavir', 'کیبر': 'Keybar', 'گل بانو': 'Gol Banu', 'گل بی بی': 'Gol Bibi',
    'گلمکان': 'Golmakan', 'مازول': 'Mazul', 'مالین': 'Malin', 'مرزداران': 'Marzdaran',
    'مزینان': 'Mazinan', 'مشکان': 'Meshkan', 'مه ولات جنوبی': 'Mahvelat-e Jonubi',
    'مه ولات شمالی': 'Mahvelat-e Shomali', 'مهر': 'Mehr', 'میامی': 'Miyami',
    'میان جام': 'Miyan Jam', 'میان جوین': 'Miyan Joveyn', 'میان خواف': 'Miyan Khaf',
    'میان رخ': 'Miyan Rokh', 'میان ولایت': 'Miyan Velayat', 'میانکوه': 'Miyan Kuh',
    'نشتیفان': 'Nashtifan', 'نوده انقلاب': 'Now Deh-e Enqelab', 'هریرود': 'Harirud',
    'هزارمسجد': 'Hezarmasjed', 'یام': 'Yam', 'یونسی': 'Yunesi',
}

HOLIDAY_EN = {
    'نوروز': 'Nowruz',
    'مبعث': 'Mab\'ath (calling of the Prophet)',
    'روز جمهوری اسلامی': 'Islamic Republic Day',
    'روز طبیعت': 'Nature Day (Sizdah Bedar)',
    'ولادت امام زمان': 'Birth of the Twelfth Imam',
    'شهادت امام علی': 'Martyrdom of Imam Ali',
    'عید فطر': 'Eid al-Fitr',
    'تعطیل عید فطر': 'Eid al-Fitr, second day',
    'رحلت امام خمینی': 'Death of Imam Khomeini',
    'قیام ۱۵ خرداد': 'Uprising of 15 Khordad',
    'شهادت امام صادق': 'Martyrdom of Imam Sadeq',
    'عید قربان': 'Eid al-Adha',
    'عید غدیر': 'Eid al-Ghadir',
    'تاسوعا': 'Tasu\'a',
    'عاشورا': 'Ashura',
    'اربعین': 'Arba\'in',
    'رحلت پیامبر و شهادت امام حسن': 'Death of the Prophet and martyrdom of Imam Hasan',
    'شهادت امام رضا (آخر صفر)': 'Martyrdom of Imam Reza (last day of Safar)',
    'شهادت امام حسن عسکری': 'Martyrdom of Imam Hasan Askari',
    'ولادت پیامبر و امام صادق': 'Birth of the Prophet and of Imam Sadeq',
    'شهادت حضرت فاطمه': 'Martyrdom of Fatima',
    'پیروزی انقلاب اسلامی': 'Victory of the Islamic Revolution',
    'ولادت امام علی': 'Birth of Imam Ali',
    'ملی شدن صنعت نفت': 'Nationalisation of the oil industry',
}

# --- organisations -----------------------------------------------------------

# code, kind, class, Persian, English, national short number, unit of,
# name of its offices in the counties: Persian, English ('' where it has none).
# Member codes follow the order of this table: append, never insert or remove.
PROVINCIAL = [
    ('ostandari', 'agency', 'GOV', 'استانداری خراسان رضوی', 'Governor-General\'s Office of Khorasan Razavi', '', '', '', ''),
    ('takapo', 'agency', 'GOV', 'دبیرخانه تکاپو', 'Takapo Secretariat', '', 'ostandari', '', ''),
    ('shora', 'agency', 'GOV', 'دبیرخانه شورای برنامه‌ریزی و توسعه استان', 'Secretariat of the Provincial Planning and Development Council', '', 'ostandari', '', ''),
    ('mporg', 'agency', 'GOV', 'سازمان مدیریت و برنامه‌ریزی استان', 'Management and Planning Organisation', '', '', '', ''),
    ('amoozesh', 'agency', 'GOV', 'مرکز آموزش و پژوهش‌های توسعه و آینده‌نگری استان', 'Provincial Training and Foresight Centre', '', 'mporg', '', ''),
    ('amar', 'agency', 'GOV', 'معاونت آمار و اطلاعات استان', 'Provincial Statistics and Information Office', '', 'mporg', '', ''),
    ('ict', 'agency', 'GOV', 'اداره کل ارتباطات و فناوری اطلاعات', 'Department of ICT', '', '', '', ''),
    ('rah', 'agency', 'GOV', 'اداره کل راه و شهرسازی', 'Department of Roads and Urban Development', '', '', 'راه و شهرسازی', 'Roads and Urban Development'),
    ('rahdari', 'agency', 'GOV', 'اداره کل راهداری و حمل و نقل جاده‌ای', 'Department of Road Maintenance and Transport', '141', '', 'راهداری و حمل و نقل جاده‌ای', 'Road Maintenance and Transport'),
    ('jihad', 'agency', 'GOV', 'سازمان جهاد کشاورزی', 'Agriculture Jihad Organisation', '', '', 'جهاد کشاورزی', 'Agriculture Jihad'),
    ('samt', 'agency', 'GOV', 'اداره کل صنعت، معدن و تجارت', 'Department of Industry, Mine and Trade', '', '', 'صنعت، معدن و تجارت', 'Industry, Mine and Trade'),
    ('edu', 'agency', 'GOV', 'اداره کل آموزش و پرورش', 'Department of Education', '', '', 'آموزش و پرورش', 'Education'),
    ('mums', 'agency', 'GOV', 'دانشگاه علوم پزشکی مشهد', 'Mashhad University of Medical Sciences', '', '', 'شبکه بهداشت و درمان', 'Health Network'),
    ('behzisti', 'agency', 'GOV', 'اداره کل بهزیستی', 'Department of Welfare', '123', '', 'بهزیستی', 'Welfare'),
    ('sabt-ahval', 'agency', 'GOV', 'اداره کل ثبت احوال', 'Department of Civil Registration', '', '', 'ثبت احوال', 'Civil Registration'),
    ('sabt-asnad', 'agency', 'GOV', 'اداره کل ثبت اسناد و املاک', 'Department of Deeds and Properties', '', '', 'ثبت اسناد و املاک', 'Deeds and Properties'),
    ('maliat', 'agency', 'GOV', 'اداره کل امور مالیاتی', 'Department of Taxation', '', '', 'امور مالیاتی', 'Taxation'),
    ('tamin', 'agency', 'GOV', 'اداره کل تأمین اجتماعی', 'Department of Social Security', '1420', '', 'تأمین اجتماعی', 'Social Security'),
    ('bazneshastegi', 'agency', 'GOV', 'مدیریت صندوق بازنشستگی کشوری', 'Civil Service Pension Fund', '', '', '', ''),
    ('abfa', 'agency', 'GOV', 'شرکت آب و فاضلاب', 'Water and Wastewater Company', '122', '', 'آب و فاضلاب', 'Water and Wastewater'),
    ('ab-mantaghe', 'agency', 'GOV', 'شرکت آب منطقه‌ای', 'Regional Water Company', '', '', 'منابع آب', 'Water Resources'),
    ('bargh', 'agency', 'GOV', 'شرکت توزیع نیروی برق', 'Electricity Distribution Company', '121', '', 'توزیع برق', 'Electricity Distribution'),
    ('gaz', 'agency', 'GOV', 'شرکت گاز', 'Gas Company', '194', '', 'گاز', 'Gas'),
    ('mohit-zist', 'agency', 'GOV', 'اداره کل حفاظت محیط زیست', 'Department of Environment', '', '', 'حفاظت محیط زیست', 'Environment'),
    ('manabe-tabii', 'agency', 'GOV', 'اداره کل منابع طبیعی و آبخیزداری', 'Department of Natural Resources and Watershed', '', '', 'منابع طبیعی و آبخیزداری', 'Natural Resources and Watershed'),
    ('dampezeshki', 'agency', 'GOV', 'اداره کل دامپزشکی', 'Veterinary Department', '', '', 'دامپزشکی', 'Veterinary'),
    ('fanni', 'agency', 'GOV', 'اداره کل آموزش فنی و حرفه‌ای', 'Department of Technical and Vocational Training', '', '', 'مرکز آموزش فنی و حرفه‌ای', 'Technical and Vocational Training Centre'),
    ('kar', 'agency', 'GOV', 'اداره کل تعاون، کار و رفاه اجتماعی', 'Department of Cooperatives, Labour and Social Welfare', '', '', 'تعاون، کار و رفاه اجتماعی', 'Cooperatives, Labour and Social Welfare'),
    ('varzesh', 'agency', 'GOV', 'اداره کل ورزش و جوانان', 'Department of Sports and Youth', '', '', 'ورزش و جوانان', 'Sports and Youth'),
    ('farhang', 'agency', 'GOV', 'اداره کل فرهنگ و ارشاد اسلامی', 'Department of Culture and Islamic Guidance', '', '', 'فرهنگ و ارشاد اسلامی', 'Culture and Islamic Guidance'),
    ('miras', 'agency', 'GOV', 'اداره کل میراث فرهنگی، گردشگری و صنایع دستی', 'Department of Cultural Heritage, Tourism and Handicrafts', '', '', 'میراث فرهنگی، گردشگری و صنایع دستی', 'Cultural Heritage, Tourism and Handicrafts'),
    ('post', 'agency', 'GOV', 'اداره کل پست', 'Post Department', '193', '', 'پست', 'Post'),
    ('police10', 'agency', 'GOV', 'پلیس +۱۰', 'Police +10', '', '', 'دفتر پلیس +۱۰', 'Police +10 Counter'),
    ('bonyad-maskan', 'agency', 'GOV', 'بنیاد مسکن انقلاب اسلامی', 'Housing Foundation', '', '', 'بنیاد مسکن', 'Housing Foundation'),
    ('komite-emdad', 'agency', 'GOV', 'کمیته امداد امام خمینی', 'Imam Khomeini Relief Committee', '', '', 'کمیته امداد', 'Relief Committee'),
    ('eghtesad', 'agency', 'GOV', 'اداره کل امور اقتصادی و دارایی', 'Department of Economic Affairs and Finance', '', '', '', ''),
    ('gomrok', 'agency', 'GOV', 'گمرکات خراسان رضوی', 'Customs of Khorasan Razavi', '', '', '', ''),
    ('standard', 'agency', 'GOV', 'اداره کل استاندارد', 'Department of Standards', '', '', '', ''),
    ('havashenasi', 'agency', 'GOV', 'اداره کل هواشناسی', 'Meteorological Department', '', '', '', ''),
    ('bohran', 'agency', 'GOV', 'اداره کل مدیریت بحران', 'Department of Disaster Management', '', 'ostandari', '', ''),
    ('nosazi', 'agency', 'GOV', 'اداره کل نوسازی مدارس', 'Department of School Renovation', '', '', '', ''),
    ('ferdowsi', 'institution', 'GOV', 'دانشگاه فردوسی مشهد', 'Ferdowsi University of Mashhad', '', '', '', ''),
    ('sums', 'institution', 'GOV', 'دانشگاه علوم پزشکی سبزوار', 'Sabzevar University of Medical Sciences', '', '', '', ''),
    ('nums', 'institution', 'GOV', 'دانشگاه علوم پزشکی نیشابور', 'Neyshabur University of Medical Sciences', '', '', '', ''),
    ('thums', 'institution', 'GOV', 'دانشگاه علوم پزشکی تربت حیدریه', 'Torbat Heydarieh University of Medical Sciences', '', '', '', ''),
    ('gmums', 'institution', 'GOV', 'دانشگاه علوم پزشکی گناباد', 'Gonabad University of Medical Sciences', '', '', '', ''),
    ('park-elm', 'institution', 'GOV', 'پارک علم و فناوری خراسان', 'Khorasan Science and Technology Park', '', '', '', ''),
    ('asnaf', 'institution', 'NGO', 'اتاق اصناف مشهد', 'Mashhad Chamber of Guilds', '', '', '', ''),
    ('otagh-bazargani', 'institution', 'NGO', 'اتاق بازرگانی، صنایع، معادن و کشاورزی خراسان رضوی', 'Khorasan Razavi Chamber of Commerce', '', '', '', ''),
    ('nezam-senfi', 'institution', 'NGO', 'سازمان نظام صنفی رایانه‌ای استان', 'ICT Guild Organisation of the Province', '', '', '', ''),
    ('nezam-mohandesi', 'institution', 'NGO', 'سازمان نظام مهندسی ساختمان استان', 'Construction Engineering Organisation of the Province', '', '', '', ''),
    ('astan-quds', 'institution', 'NGO', 'آستان قدس رضوی', 'Astan Quds Razavi', '', '', '', ''),
    ('demo-rayan', 'company', 'COM', 'شرکت نمایشی رایان آزمون (ساختگی)', 'Rayan Azmoon Demo Company (synthetic)', '', '', '', ''),
    ('demo-hooshmand', 'company', 'COM', 'شرکت نمایشی هوشمند نمونه (ساختگی)', 'Hooshmand Nemooneh Demo Company (synthetic)', '', '', '', ''),
    ('demo-payam', 'company', 'COM', 'شرکت نمایشی پیام نمونه (ساختگی)', 'Payam Nemooneh Demo Company (synthetic)', '', '', '', ''),
]
# Institutions and companies sit in a city; everything else belongs to the province.
ORGANISATION_PLACE = {
    'ferdowsi': MASHHAD, 'sums': '0908071367', 'nums': '0917041394', 'thums': '0905061361',
    'gmums': '0915021385', 'asnaf': MASHHAD, 'demo-rayan': MASHHAD,
    'demo-hooshmand': MASHHAD, 'demo-payam': MASHHAD,
}
# Counties whose health network belongs to another university than Mashhad's.
HEALTH = {'0908': 'sums', '0917': 'nums', '0905': 'thums', '0915': 'gmums'}
# Settlements that are wells, posts, farms, works or stations rather than villages.
NOT_A_VILLAGE = set("""
چاه پاسگاه مزرعه تک شرکت معدن کارخانه مرغداری ایستگاه موتوراب کوره دامداری مجتمع پادگان دکل
گاوداری کارگاه منبع اردوگاه پایگاه پمپ پست نیروگاه نیم جایگاه تعویض اداره دانشکده سردخانه انبار
سازمان موتور تلمبه چاهک مرکز هتل رستوران فرودگاه گلخانه پالایشگاه بیمارستان آموزشگاه دانشگاه پارک
زندان ترمینال گمرک سد تصفیه قرارگاه گروهان هنگ میدان مرغداریهای چاههای دبستان مدرسه پرورش کشتارگاه
گوسفندداری اموزشگاه ماهی دوچاهی شن مقبره امامزاده بقعه حوض محله منزل خانه ساختمان مهمانسرا تاسیسات
سنگبری سنگ‌شکن منطقه ناحیه دشت موتورخانه چاهعمیق پروژه پلیس ابادی مسافرخانه مهمانخانه آزمایشگاه
ازمایشگاه باشگاه اسایشگاه استخر ابگیر کمپ راهدارخانه راهداری گردنه یورت النگ رودخانه
""".split())
NOT_A_VILLAGE_ANYWHERE = re.compile(
    'شماره|صنعتی|زورزمند|شهرداری|انتظامی|مرغداری|دامداری|گاوداری|کارخانه|پمپ|پاسگاه|ایستگاه|'
    'کیلو ?و|مگاوات|غذاخوری|رستوران|کشاورزی|اعتباری|عمیق|موتور|شکاربانی|شرکت|تعاونی|نیروی|سپاه|بسیج|ارتش|پادگان|پرورش|جنگلبانی|[0-9]')


def read(source, name):
    with open(os.path.join(source, name), encoding='utf-8-sig', newline='') as f:
        return list(csv.DictReader(f))


def write(out, name, header, rows):
    with open(os.path.join(out, name), 'w', encoding='utf-8', newline='') as f:
        w = csv.writer(f, lineterminator='\n')
        w.writerow(header)
        w.writerows(rows)


def number(text):
    """A repeatable number for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')


def slug(text):
    return re.sub('[^a-z0-9]+', '-', text.lower()).strip('-')


def coordinate(value):
    return '' if value in ('', None) else f'{float(value):.4f}'


# --- cleaning of Persian names -------------------------------------------------

LETTERS = str.maketrans({'ي': 'ی', 'ى': 'ی', 'ك': 'ک', 'ة': 'ه', 'ڈ': 'ء', '\u200e': None,
                         '\u200f': None, '\u00a0': ' '})
PERSIAN_DIGITS = str.maketrans('0123456789', '۰۱۲۳۴۵۶۷۸۹')
# «محمداباد» is written «محمدآباد», «حسن ابادعرب» «حسن آباد عرب»; by list, since in مهاباد or
# براباد the alef belongs to the name.
ABAD_NAMES = ('محمد|احمد|حیدر|نصر|سید|امیر|میر|خیر|سعد|جعفر|اکبر|طاهر|عزیز|فخر|اسد|باقر|فیروز|شکر|صید|'
              'قادر|نور|نوروز|محمود|شهر|فرح|مهر|مظفر|عسگر|مراد|نظر|قنبر|قلندر|اصغر|رضا|مقصود|ناصر|سالار|'
              'خسرو|صدر|نصیر|اسکندر|نیاز|بشیر|غفار|شهید|بدر|ستار|یزد|جنید|سعید|تیمور|نعیم|یوسف|جمشید|مجید|'
              'قدیر|صمد|ظاهر|حمید|رشید|بهار|منصور|ظهیر|خضر|هند|سبز|دولت|قاسم|ابراهیم|دلیر')
ABAD = re.compile(rf'(?<!\w)({ABAD_NAMES}|)[اآ]باد(?!ی|ک(?!\w)|انی)(\w*)')
LOWER_UPPER = re.compile(r'(?<=\w\w)(علیا|سفلی|وسطی)(?!\w)')

def clean(name):
    name = name.translate(LETTERS)
    name = re.sub(r'^[\]\[\s]+', '', name)
    name = ABAD.sub(lambda m: f'{m[1]}آباد {m[2]}', name)
    name = LOWER_UPPER.sub(r' \1', name)
    name = re.sub(r'(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])', ' ', name)
    return re.sub(r'\s+', ' ', name).strip()


def village_names(name):
    """The main name, and the name with its other names in brackets.

    The source writes other names as «a /b/», «a / b», «a (b)» or «a _ b», and cuts
    names at 40 characters.
    """
    parts = []
    for part in re.split(r'[/_()]', clean(name)):
        part = part.strip().translate(PERSIAN_DIGITS)
        if part and part not in parts:
            parts.append(part)
    main = parts[0]
    return main, main + (f' ({"، ".join(parts[1:])})' if parts[1:] else '')


# --- county polygons --------------------------------------------------------------

def distance(p, a, b):
    """Distance of p from the segment a-b, in degrees, longitudes shortened at 36° N."""
    k = math.cos(math.radians(36))
    px, py, ax, ay, bx, by = p[0] * k, p[1], a[0] * k, a[1], b[0] * k, b[1]
    dx, dy = bx - ax, by - ay
    t = 0 if dx == dy == 0 else max(0, min(1, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy)))
    return math.hypot(px - ax - t * dx, py - ay - t * dy)


def simplify(line, tolerance):
    """Douglas-Peucker; the ends stay."""
    keep, stack = {0, len(line) - 1}, [(0, len(line) - 1)]
    while stack:
        first, last = stack.pop()
        far, at = 0, None
        for i in range(first + 1, last):
            d = distance(line[i], line[first], line[last])
            if d > far:
                far, at = d, i
        if far > tolerance:
            keep.add(at)
            stack += [(first, at), (at, last)]
    return [line[i] for i in sorted(keep)]


def simplify_ring(ring, owners, tolerance):
    """Simplify between the points where neighbours change, so that both sides of a border agree."""
    points = [tuple(p) for p in ring[:-1]]
    n = len(points)
    joints = [i for i in range(n)
              if len({frozenset(owners[points[j % n]]) for j in (i - 1, i, i + 1)}) > 1]
    if not joints:
        joints = [points.index(min(points))]
    out = []
    for i, start in enumerate(joints):
        end = joints[(i + 1) % len(joints)]
        arc = [points[j % n] for j in range(start, (end if end > start else end + n) + 1)]
        if arc[0] == arc[-1] and len(arc) > 3:  # a closed arc: hold its far point too
            far = max(range(len(arc)), key=lambda j: (distance(arc[j], arc[0], arc[0]), arc[j]))
            arc = simplify(arc[:far + 1], tolerance)[:-1] + simplify(arc[far:], tolerance)
        else:
            turned = arc[0] > arc[-1]
            arc = simplify(arc[::-1] if turned else arc, tolerance)
            arc = arc[::-1] if turned else arc
        out += arc[:-1]
    rounded = []
    for x, y in out:
        p = [round(x, 4), round(y, 4)]
        if not rounded or rounded[-1] != p:
            rounded.append(p)
    if rounded[0] != rounded[-1]:
        rounded.append(rounded[0])
    return rounded


def county_polygons(source, counties):
    with open(os.path.join(source, 'kr_counties_boundaries.geojson'), encoding='utf-8') as f:
        features = [x for x in json.load(f)['features'] if x['geometry']['type'] == 'MultiPolygon']
    relation = {row['osm_relation']: code for code, row in counties.items()}
    shapes = {relation[str(f['properties']['id'])]: f['geometry']['coordinates'] for f in features}
    owners = defaultdict(set)
    for code, polygons in shapes.items():
        for polygon in polygons:
            for ring in polygon:
                for p in ring:
                    owners[tuple(p)].add(code)
    return {code: [[simplify_ring(ring, owners, 0.001) for ring in polygon] for polygon in shapes[code]]
            for code in sorted(shapes)}


def inside(lat, lon, polygons):
    hit = False
    for polygon in polygons:
        for ring in polygon:
            for (x1, y1), (x2, y2) in zip(ring, ring[1:]):
                if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
                    hit = not hit
    return hit


def province_centroid(shapes):
    area = sx = sy = 0
    for polygons in shapes.values():
        for polygon in polygons:
            for (x1, y1), (x2, y2) in zip(polygon[0], polygon[0][1:]):
                a = x1 * y2 - x2 * y1
                area, sx, sy = area + a, sx + (x1 + x2) * a, sy + (y1 + y2) * a
    return sy / (3 * area), sx / (3 * area)


# --- places ------------------------------------------------------------------------

class Place:
    def __init__(self, code, parent, kind, setting, fa, en='', lat='', lon='', population=''):
        self.code, self.parent, self.kind, self.setting = code, parent, kind, setting
        self.fa, self.en, self.lat, self.lon = fa, en, coordinate(lat), coordinate(lon)
        self.population = population
        self.main = fa  # the name without its other names in brackets

    def row(self):
        year = '2016' if self.population else ''
        return [self.code, self.parent, self.kind, self.setting, self.fa, self.en,
                self.lat, self.lon, self.population, year, '']


def load_counties(source):
    counties = {}
    for row in read(source, 'kr_counties_master.csv'):
        counties[row['sci_code_1399'] or PROVISIONAL[clean(row['name_fa'])]] = row
    return counties


def make_places(source, counties, shapes):
    places = {}

    def add(place):
        assert place.code not in places, place.code
        places[place.code] = place

    lat, lon = province_centroid(shapes)
    census = read(source, 'kr_census1395_county_urban_rural.csv')
    add(Place(PROVINCE, '', 'province', 'mixed', 'خراسان رضوی', 'Khorasan Razavi', lat, lon,
              sum(int(r['total']) for r in census)))

    divisions = {r['amar_code'].zfill(4): clean(r['name']) for r in read(source, 'kr_shahrestan.csv')}
    assert set(divisions) == set(counties) - set(PROVISIONAL.values())
    for code in sorted(counties):
        row = counties[code]
        fa = COUNTY_RENAMED.get(code, divisions.get(code, clean(row['name_fa'])))
        add(Place(code, PROVINCE, 'county', 'mixed', fa, COUNTIES[code][0],
                  row['centroid_lat'], row['centroid_lon'], row['pop1395_total']))

    districts = {r['amar_code'].zfill(6): clean(r['name']) for r in read(source, 'kr_bakhsh.csv')}
    districts.update({code + '01': 'مرکزی' for code in PROVISIONAL.values()})
    for code in sorted(districts):
        add(Place(code, code[:4], 'district', 'mixed', districts[code], DISTRICT_EN[districts[code]]))

    position = {r['sci_code']: (r['lat'], r['lon']) for r in read(source, 'kr_city_coordinates.csv')
                if r['sci_code'] not in WRONG_COORDINATES}
    towns = {r['amar_code'].zfill(10): r for r in read(source, 'kr_shahr.csv')}
    for code in sorted(towns, key=lambda c: (towns[c]['shahr_type'] != '0', c)):
        name = clean(towns[code]['name'])
        if towns[code]['shahr_type'] == '0':
            add(Place(code, code[:6], 'city', 'urban', CITY_FA.get(code, name), CITY_EN[code],
                      *position.get(code, ('', ''))))
        else:
            city, zone = re.fullmatch(r'(\D+?) ?(\d+)', name).groups()
            parent, english = ZONE_CITY[city]
            add(Place(code, parent, 'zone', 'urban', f'منطقه {zone} {city}'.translate(PERSIAN_DIGITS),
                      f'{english} Zone {zone}'))
    for code, place in places.items():  # a district is shown at its first city
        if place.kind == 'district':
            cities = [p for p in places.values() if p.kind == 'city' and p.parent == code and p.lat]
            seat = COUNTIES[code[:4]][2]
            cities.sort(key=lambda p: (p.code != seat, p.main != place.main, p.code))
            if cities:
                place.lat, place.lon = cities[0].lat, cities[0].lon

    for row in sorted(read(source, 'kr_dehestan.csv'), key=lambda r: r['amar_code']):
        code, name = row['amar_code'].zfill(10), clean(row['name'])
        add(Place(code, code[:6], 'rural_district', 'rural', name, RURAL_DISTRICT_EN[name]))

    large = set()
    for row in sorted(read(source, 'kr_abadi.csv'), key=lambda r: r['amar_code']):
        code = row['amar_code'].zfill(16)
        main, full = village_names(row['name'])
        village = Place(code, code[:10], 'village', 'rural', full)
        village.main = main
        add(village)
        if row['abadi_type'] == '1':
            large.add(code)
    return places, large


# --- which villages have an office -------------------------------------------------------

def choose_villages(places, large):
    """All large villages, then point villages, spread over the rural districts by their number."""
    eligible = defaultdict(list)
    for p in places.values():
        if p.kind == 'village' and p.code not in large:
            if not NOT_A_VILLAGE_ANYWHERE.search(p.fa.translate(str.maketrans('۰۱۲۳۴۵۶۷۸۹', '0123456789'))) \
                    and p.main.split()[0] not in NOT_A_VILLAGE:
                eligible[p.parent].append(p.code)
    wanted = DEHYARI_COUNT - len(large)
    total = sum(map(len, eligible.values()))
    assert total >= wanted, (total, wanted)
    share = {d: wanted * len(v) / total for d, v in eligible.items()}
    quota = {d: int(s) for d, s in share.items()}
    for d in sorted(share, key=lambda d: (quota[d] - share[d], d))[:wanted - sum(quota.values())]:
        quota[d] += 1
    chosen = set(large)
    for d, codes in eligible.items():
        chosen.update(sorted(codes, key=number)[:quota[d]])
    # The direct ones: every large village, one at least in each rural district, others by hash.
    by_district = defaultdict(list)
    for code in chosen:
        by_district[code[:10]].append(code)
    direct = set(large)
    for codes in by_district.values():
        if not direct.intersection(codes):
            direct.add(min(codes, key=number))
    rest = sorted(chosen - direct, key=number)
    direct.update(rest[:DIRECT_DEHYARI_COUNT - len(direct)])
    return sorted(chosen), direct


# --- organisations ----------------------------------------------------------------------

def municipality_code(city):
    return 'shahrdari-' + slug(city.en)


def make_organisations(places, villages):
    rows = []
    for i, (code, kind, klass, fa, en, phone, unit_of, _, _) in enumerate(PROVINCIAL, 1):
        parent = unit_of or ('ostandari' if kind == 'agency' and code != 'ostandari' else '')
        member = {'GOV': 10000000, 'NGO': 30000000, 'COM': 40000000}[klass] + i
        rows.append([code, kind, parent, ORGANISATION_PLACE.get(code, PROVINCE), klass, str(member),
                     fa, en, phone, unit_of])
    for code, (en, short, _) in sorted(COUNTIES.items()):
        rows.append([f'farmandari-{short}', 'governorate', 'ostandari', code, 'GOV', f'1100{code}',
                     f'فرمانداری {places[code].fa}', f'Governorate of {en}', '', ''])
    for p in places.values():
        if p.kind == 'city':
            governorate = 'farmandari-' + COUNTIES[p.code[:4]][1]
            fa, en, unit_of = f'شهرداری {p.fa}', f'Municipality of {p.en}', ''
            if p.code == SAMEN:
                fa, en, unit_of = 'شهرداری منطقه ثامن مشهد', 'Samen Zone Municipality of Mashhad', 'shahrdari-mashhad'
            rows.append([municipality_code(p), 'municipality', governorate, p.code, 'MUN',
                         '20' + p.code[2:4] + p.code[6:], fa, en, '', unit_of])
    for code in villages:
        # the last six digits of a village's code are SCI's number of the village
        rows.append([f'dehyari-{code}', 'dehyari', 'farmandari-' + COUNTIES[code[:4]][1], code, 'MUN',
                     '25' + code[2:4] + code[10:], f'دهیاری {places[code].main}', '', '', ''])
    return rows


# --- offices --------------------------------------------------------------------------------

class Offices:
    def __init__(self, places):
        self.places, self.rows, self.count = places, [], defaultdict(int)

    def add(self, county, organisation, place, level, uplinks, fa, en, at=None, scatter=True):
        self.count[county] += 1
        code = f'KR-{county}-{self.count[county]:04d}'
        lat, lon = self.position(at or place, code if scatter else None)
        self.rows.append([code, organisation, place, level, ';'.join(uplinks), fa, en, lat, lon, '1'])
        return code

    def position(self, place, scatter):
        """The place's own position or that of what is above it, spread within about 1.2 km."""
        p = self.places[place]
        if p.kind == 'village':
            return '', ''  # not known; a county's middle would mislead
        while not p.lat:
            p = self.places[p.parent]
        if not scatter:
            return p.lat, p.lon
        n = number('at ' + scatter)
        radius, angle = 0.011 * math.sqrt((n % 10007) / 10007), 2 * math.pi * ((n >> 20) % 9973) / 9973
        return (coordinate(float(p.lat) + radius * math.sin(angle)),
                coordinate(float(p.lon) + radius * math.cos(angle) / math.cos(math.radians(36))))


def make_offices(places, villages, direct):
    offices = Offices(places)
    add = offices.add
    kinds = defaultdict(list)
    for p in places.values():
        kinds[p.kind].append(p)
    seat = {c: COUNTIES[c][2] or c for c in COUNTIES}
    seats = set(seat.values())

    core = [add('0916', 'ostandari', MASHHAD, 'core', [], 'مرکز داده استانداری', 'Core data centre'),
            add('0916', 'ict', MASHHAD, 'core', [], 'مرکز داده پشتیبان', 'Standby data centre')]

    hub = {}
    for i, c in enumerate(sorted(COUNTIES)):
        en, short, _ = COUNTIES[c]
        # two in three hubs reach both cores; the others alternate
        uplinks = core if i % 3 else [core[i // 3 % 2]]
        hub[c] = add(c, f'farmandari-{short}', seat[c], 'hub', uplinks,
                     f'فرمانداری شهرستان {places[c].fa}', f'Governorate of {en} County')

    node = {}
    for p in kinds['district']:
        county = p.code[:4]
        others = [node[d] for d in sorted(node) if d[:4] == county]
        uplinks = [hub[county]] + (others[:1] if number(p.code) % 4 == 0 else [])
        node[p.code] = add(county, 'farmandari-' + COUNTIES[county][1], p.code, 'district', uplinks,
                           f'بخشداری {p.fa} شهرستان {places[county].fa}',
                           f'{p.en} District Office, {COUNTIES[county][0]} County')

    def above(place):
        return node[place[:6]] if len(place) >= 6 else hub[place[:4]]

    def joined(place, organisation):
        """Up through the seat's hub or the district's node; every seventh has a second way."""
        county = place[:4]
        first = hub[county] if place in seats else above(place)
        second = above(place) if place in seats and len(place) > 4 else hub[county]
        return [first] + ([second] if second != first and number(place + organisation) % 7 == 0 else [])

    def office(organisation, place, fa, en):
        return add(place[:4], organisation, place, 'office', joined(place, organisation), fa, en)

    for p in kinds['city']:
        code = municipality_code(p)
        if p.code == SAMEN:
            office(code, p.code, 'شهرداری منطقه ثامن مشهد', 'Samen Zone Municipality of Mashhad')
        else:
            office(code, p.code, f'شهرداری {p.fa}', f'Municipality of {p.en}')
    for p in kinds['zone']:
        office(municipality_code(places[p.parent]), p.code, f'شهرداری {p.fa}', f'Municipality, {p.en}')

    for code, kind, _, fa, en, _, _, _, _ in PROVINCIAL:
        if kind != 'company':
            place = ORGANISATION_PLACE.get(code, MASHHAD)
            uplinks = core if place == MASHHAD else [hub[place[:4]]]
            add(place[:4], code, place, 'office', uplinks, f'ستاد {fa}', f'{en}, head office')

    for c in sorted(COUNTIES):
        for code, _, _, _, _, _, _, fa, en in PROVINCIAL:
            if fa:
                owner = HEALTH.get(c, code) if code == 'mums' else code
                office(owner, seat[c], f'{fa} شهرستان {places[c].fa}', f'{en}, {COUNTIES[c][0]} County')

    for p in kinds['district']:
        if p.main == 'مرکزی':
            continue
        where = next((q.code for q in kinds['city'] if q.parent == p.code), p.code)
        label_fa, label_en = f'بخش {p.fa}', f'{p.en} District'
        office('jihad', where, f'مرکز جهاد کشاورزی {label_fa}', f'Agriculture Jihad Centre, {label_en}')
        office(HEALTH.get(p.code[:4], 'mums'), where, f'مرکز خدمات جامع سلامت {label_fa}',
               f'Health Centre, {label_en}')
        office('edu', where, f'نمایندگی آموزش و پرورش {label_fa}', f'Education Representation, {label_en}')
        office('komite-emdad', where, f'کمیته امداد {label_fa}', f'Relief Committee, {label_en}')

    for p in kinds['city']:
        if p.code in seats or p.code == SAMEN:
            continue
        office('abfa', p.code, f'امور آب و فاضلاب {p.fa}', f'Water and Wastewater, {p.en}')
        office('bargh', p.code, f'امور برق {p.fa}', f'Electricity, {p.en}')
        office('post', p.code, f'دفتر پست {p.fa}', f'Post Office, {p.en}')

    for p in [z for z in kinds['zone'] if z.parent == MASHHAD] + [places[SAMEN]]:
        fa = p.fa if p.kind == 'zone' else 'منطقه ثامن مشهد'
        for code, fa_office, en_office in (
                ('abfa', 'امور آب و فاضلاب', 'Water and Wastewater'), ('bargh', 'امور برق', 'Electricity'),
                ('gaz', 'امور گاز', 'Gas'), ('maliat', 'امور مالیاتی', 'Taxation'),
                ('sabt-asnad', 'ثبت اسناد و املاک', 'Deeds and Properties'),
                ('police10', 'دفتر پلیس +۱۰', 'Police +10 Counter'),
                ('tamin', 'شعبه تأمین اجتماعی', 'Social Security Branch'),
                ('mums', 'مرکز بهداشت', 'Health Centre')):
            office(code, p.code, f'{fa_office} {fa}', f'{en_office}, {p.en}')
    for i in range(1, 8):
        office('edu', MASHHAD, f'آموزش و پرورش ناحیه {i} مشهد'.translate(PERSIAN_DIGITS),
               f'Education, Mashhad Area {i}')

    # Village offices: the direct ones at the district's node, the others behind a direct one
    # of the same rural district; every twelfth has a second way.
    relay = defaultdict(list)
    for code in [v for v in villages if v in direct] + [v for v in villages if v not in direct]:
        county, rural = code[:4], code[:10]
        n = number(code)
        if code in direct:
            uplinks = [node[code[:6]]] + ([hub[county]] if n % 12 == 0 else [])
        else:
            uplinks = [relay[rural][n % len(relay[rural])]]
            if n % 12 == 0:
                uplinks.append(node[code[:6]])
        made = add(county, f'dehyari-{code}', code, 'dehyari', uplinks, f'دهیاری {places[code].main}', '')
        if code in direct:
            relay[rural].append(made)
    return offices.rows


# --- the whole ----------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--source', required=True, help='folder of the public source tables')
    parser.add_argument('--out', required=True, help='folder of the pack')
    args = parser.parse_args()

    counties = load_counties(args.source)
    shapes = county_polygons(args.source, counties)
    places, large = make_places(args.source, counties, shapes)
    villages, direct = choose_villages(places, large)

    write(args.out, 'places.csv',
          'code parent kind setting name_fa name_en lat lon population population_year households'.split(),
          [p.row() for p in places.values()])
    write(args.out, 'organisations.csv',
          'code kind parent place class member name_fa name_en phone unit_of'.split(),
          make_organisations(places, villages))
    write(args.out, 'offices.csv',
          'code organisation place level uplinks name_fa name_en lat lon synthetic'.split(),
          make_offices(places, villages, direct))
    write(args.out, 'holidays.csv', 'date title_fa title_en basis'.split(),
          [[r['gregorian'], r['title_fa'], HOLIDAY_EN[r['title_fa']], r['basis'].split()[0]]
           for r in read(args.source, 'iran_public_holidays_1399_1405.csv')])

    features = [json.dumps({'type': 'Feature', 'properties': {'code': c, 'name_fa': places[c].fa},
                            'geometry': {'type': 'MultiPolygon', 'coordinates': shape}},
                           ensure_ascii=False, separators=(',', ':'))
                for c, shape in shapes.items()]
    with open(os.path.join(args.out, 'counties.geojson'), 'w', encoding='utf-8', newline='') as f:
        f.write('{"type":"FeatureCollection","attribution":"© OpenStreetMap contributors, ODbL 1.0",'
                '"features":[\n' + ',\n'.join(features) + '\n]}\n')


if __name__ == '__main__':
    main()
